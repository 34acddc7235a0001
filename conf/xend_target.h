// Targets of the oldest kind: a xend, which libvirt until 0.10 asked over HTTP. Its two forms are
// no URIs of libvirt's any more, so they are told apart before anything else is read of a text:
//   ///var/run/xend/xend-socket or /var/run/xend/xend-socket    its unix socket
//   http://host:8000/                                           its port
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/values.h"

namespace conf {

inline constexpr std::uint16_t kXendPort = 8000;

// Whether a target's text is meant as one of these forms, well made or not; https too, to be
// refused with a reason.
bool is_xend_form(std::string_view text);

// As target_of(), of a text for which is_xend_form() is true.
base::Result<TargetConfig, std::string> xend_target_of(std::string_view name,
                                                       std::string_view text);

// "the socket PATH" or "HOST, port PORT", not escaped.
std::string xend_place(const TargetConfig& target);

}  // namespace conf
