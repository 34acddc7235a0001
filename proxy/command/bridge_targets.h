// What lies behind a bridge, as a configuration of a gate with one client: a target, or, where only
// the way to a daemon is known and not what its client will open there, a target for each of the
// usual URIs, of which the client's open chooses one. Whichever it is, the name that is sent
// upstream stands here and is never the client's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/environment.h"
#include "conf/ssh_command.h"
#include "conf/values.h"
#include "proxy/command/choose_target.h"

namespace proxy {

// The first is the one for a client that names nothing. Never empty.
using Targets = std::vector<conf::TargetConfig>;
using TargetsResult = base::Result<Targets, std::string>;

// The chosen one, or the local daemon with the usual URIs where the choice is open.
Targets targets_of(const Chosen& chosen);

// The daemon that listens on exactly this socket, with the usual URIs.
TargetsResult targets_at(const std::string& socket);

// The gate that listens there, which is asked for `name`: one of its targets, for which each of the
// usual URIs stands then, or a URI.
TargetsResult targets_via(const std::string& socket, const std::string& name);

// The daemon that a remote command of libvirt's means on the host of `login`.
TargetsResult targets_over_ssh(const conf::SshLogin& login, const conf::RemoteCommand& command,
                               const conf::Environment& environment);

// What virt-ssh-helper would take for this URI: a driver on this host.
TargetsResult targets_of_helper(const std::string& uri, const conf::Environment& environment);

// Whether libvirt's old rule holds for it, by which a user's Xen falls back to a proxy.
bool is_local_xen(const conf::TargetConfig& target);

// A gate's configuration with one upstream for each of `targets`; limits and rules of `base`.
conf::Config bridge_config(Targets targets, const std::optional<conf::Config>& base);

}  // namespace proxy
