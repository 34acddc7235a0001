// The drivers of libvirt, and what of a URI cannot be what anybody meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/uri.h"
#include "conf/values.h"

namespace conf {

// Whether the driver has a daemon of its own, virt<driver>d.
bool has_modular_daemon(std::string_view driver);

// Whether "driver://system" is a likely slip for "driver:///system".
bool is_slash_driver(std::string_view driver);

// A driver that libvirt does not have, or a path that its driver refuses, with what was probably
// meant; nothing: neither. The daemon has the last word, so this is a doubt and no refusal.
std::optional<std::string> odd_driver(const Uri& uri);

// Everything in the URI of a target that is accepted and has probably another meaning than the one
// intended: sentences without a place.
std::vector<std::string> doubts_about(const TargetConfig& target);

}  // namespace conf
