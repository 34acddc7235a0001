// Where `virtgate bridge --connect` may go through a target: forward = of its configuration.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace conf {

struct Forward {
  std::string host;  // in lower case, without brackets; each * stands for any characters
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  bool operator==(const Forward&) const = default;
};

// "HOST:PORT" or "HOST:FIRST-LAST", with brackets around an IPv6 address. The error says what is
// wrong, without the text.
base::Result<Forward, std::string> parse_forward(std::string_view text);

bool allows(std::span<const Forward> forwards, std::string_view host, std::uint16_t port);

}  // namespace conf
