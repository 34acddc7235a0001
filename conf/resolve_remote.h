// The part of resolve() that is libvirt's remote driver: from a parsed URI, or none, to a transport
// and what it needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conf/resolve.h"

namespace conf {

// `to` has its steps, its URI (parsed, or empty where nobody named one) and the flags asked for.
// The error is a sentence.
std::optional<std::string> resolve_remote(Resolution& to, const ClientEnvironment& environment,
                                          const LibvirtConf& libvirt, const Exists& exists);

// What a gate that gets this URI as a target's does otherwise, and what surprises people.
void add_notes(Resolution& to, const ClientEnvironment& environment, const LibvirtConf& libvirt);

// What a gate makes of a text that is no URI to a client, and as a target the path of a xend's
// socket.
void add_xend_notes(Resolution& to, std::string_view text);

}  // namespace conf
