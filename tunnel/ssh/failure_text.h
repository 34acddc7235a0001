// What people are told when a connection to an ssh server does not come about.
#pragma once

#include <string>

#include "base/bytes.h"
#include "tunnel/ssh/engine.h"
#include "tunnel/ssh/host_key_files.h"
#include "tunnel/ssh/known_hosts.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

// The handshake failed.
std::string handshake_failure(const Engine& engine);

// The host's key was not accepted: why, its fingerprint, and what to do.
std::string host_key_failure(const Target& target, const HostKeyFiles& files,
                             const KnownHosts& known, const HostKeyAnswer& answer, base::Bytes key);

}  // namespace tunnel::ssh
