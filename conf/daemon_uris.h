// What a libvirt daemon is usually asked to open, for those who know a daemon but not what its
// clients will ask of it: a client's own words must not reach a daemon, which would open anything
// with its own rights, so they choose from this list.
#pragma once

#include <array>
#include <string_view>

namespace conf {

// Of the drivers that work in a daemon; see the drivers of the libvirt manual.
inline constexpr std::array<std::string_view, 23> kDaemonUris = {
    "qemu:///system",     "qemu:///session",     "xen:///system",       "lxc:///",
    "lxc:///system",      "vbox:///system",      "vbox:///session",     "bhyve:///system",
    "vz:///system",       "ch:///system",        "ch:///session",       "test:///default",
    "network:///system",  "network:///session",  "storage:///system",   "storage:///session",
    "nodedev:///system",  "nodedev:///session",  "secret:///system",    "secret:///session",
    "nwfilter:///system", "interface:///system", "interface:///session"};

}  // namespace conf
