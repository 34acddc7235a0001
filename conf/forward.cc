#include "conf/forward.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/pattern.h"
#include "conf/text.h"

namespace conf {
namespace {

using Wrong = base::Failure<std::string>;

std::optional<std::uint16_t> port(std::string_view text) {
  const auto number = decimal(text, std::numeric_limits<std::uint16_t>::max());
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

}  // namespace

base::Result<Forward, std::string> parse_forward(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Wrong{"it has no port"};
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.size() >= 2 && host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (host.empty()) return Wrong{"it has no host"};
  if (host.find(':') != std::string_view::npos && !in_brackets) {
    return Wrong{"an IPv6 address needs brackets"};
  }
  if (has_controls(host) || host.find_first_of(" []/@") != std::string_view::npos) {
    return Wrong{"the host has characters that no host has"};
  }
  const std::string_view ports = text.substr(colon + 1);
  const std::size_t dash = ports.find('-');
  const auto first = port(ports.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port(ports.substr(dash + 1));
  if (!first || !last || *first > *last) {
    return Wrong{"behind the colon must be a port from 1 to 65535, or two with a dash between"};
  }
  return Forward{lower(host), *first, *last};
}

bool allows(std::span<const Forward> forwards, std::string_view host, std::uint16_t port) {
  return std::ranges::any_of(forwards, [&](const Forward& forward) {
    return forward.first <= port && port <= forward.last &&
           base::matches(forward.host, lower(host));
  });
}

}  // namespace conf
