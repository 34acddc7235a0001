// What a client's open names. The text is a client's and hostile: it chooses among the targets of
// the configuration, and nothing of it goes any further.
//
// The order in which a name is looked up:
//  1. the name of a target;
//  2. `xen` in any case and `xen://`, which are xen:///system, as in libvirt;
//  3. an alias of libvirt.conf, once; its value is looked up by 1, 4 and 5;
//  4. a local form, driver:///path: the socket's own target if it opens the same driver, whatever
//     the path, so that what programs ask for by default reaches it; else the first target that
//     opens the same driver and path, of those that the client may see first. xen:/// and
//     xen:///system are the same;
//  5. a URI with a host: the first target whose URI has the same driver, transport, user, host,
//     port and path, in the same order; else, where the configuration has open_uris, the URI
//     itself, if it is of the form that open_uri.h takes. Whether they let it pass is not judged
//     here.
// Targets that the client may not see are left out, as if the configuration did not have them, and
// so are targets of protocol xend, which have sockets of their own.
//
// No name, or an empty one: the socket's own target, and no other where the configuration does not
// have that any more; on a socket without one, uri_default of libvirt.conf, looked up as above;
// else every target in turn.
//
// Parameters. Those that a daemon would see (and the fragment) say nothing about which target is
// meant and are ignored; the target's own are sent on. Those that a transport takes for itself
// (socket=, command=, keyfile=, ...) ask for another way to the daemon: a target is only meant when
// its own URI has the same value for each of them, and else the name is refused.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/libvirt_conf.h"
#include "conf/open_uri.h"
#include "conf/values.h"

namespace conf {

// A longer name is refused unread.
inline constexpr std::size_t kLongestName = 4096;

struct Meaning {
  // Names of targets. The first that opens is taken; there is more than one only where nothing was
  // named, and none only where `opened` is there.
  std::vector<std::string> targets;
  std::optional<OpenedUri> opened;
  std::string reason;  // which rule decided, in words; not escaped
};

// Targets are those that `shown` says the client may see. The error is a sentence for the client,
// not escaped, that says which names would have been understood. `name` without a value: the
// client sent none.
using Shown = std::function<bool(const TargetConfig&)>;
base::Result<Meaning, std::string> meaning_of(
    std::optional<std::string_view> name, const Config& config, const Listen& listen,
    const LibvirtConf& libvirt, const Shown& shown = [](const TargetConfig&) { return true; });

}  // namespace conf
