#include "conf/xend_target.h"

#include <limits>
#include <utility>

#include "conf/socket_path.h"
#include "conf/text.h"
#include "conf/uri.h"

namespace conf {
namespace {

using Wrong = std::optional<std::string>;
using tunnel::Transport;

// Gives a bare path the parser of URIs.
constexpr std::string_view kPathScheme = "xend:";

bool has_scheme(std::string_view text, std::string_view scheme) {
  return text.size() > scheme.size() && text[scheme.size()] == ':' &&
         same_ignoring_case(text.substr(0, scheme.size()), scheme);
}

std::string cannot_parse(std::string_view text, const UriError& error, std::size_t added) {
  const std::size_t at = error.offset < added ? 0 : error.offset - added;
  return quoted(text) + " cannot be parsed: " + error.text + ", at byte " + std::to_string(at + 1);
}

Wrong read_socket(std::string_view text, TargetConfig& to) {
  const std::string uri = std::string(kPathScheme) + std::string(text);
  const auto parsed = parse_uri(uri);
  if (!parsed) return cannot_parse(text, parsed.error(), kPathScheme.size());
  const std::string& path = parsed->path;
  if (text.find_first_of("?#") != std::string_view::npos) {
    return "the path of xend's socket takes neither parameters nor a fragment; a ? in it is %3f, "
           "and a # is %23";
  }
  if (!parsed->host.empty() || !parsed->user.empty() || path.empty()) {
    return quoted(text) +
           " has a host after two slashes; the path of xend's socket has one slash in front of "
           "it, or three";
  }
  if (has_controls(path)) return "the path of xend's socket has control characters";
  if (path.back() == '/') return "the path " + quoted(path) + " names no socket";
  if (path.size() > kLongestSocketPath) {
    return "the socket " + quoted(path) + " has " + std::to_string(path.size()) +
           " bytes; a socket's path can have " + std::to_string(kLongestSocketPath);
  }
  to.tunnel.transport = Transport::unix;
  to.tunnel.sockets.push_back(path);
  return std::nullopt;
}

Wrong read_port(std::string_view text, TargetConfig& to) {
  if (has_scheme(text, "https")) {
    return "xend speaks plain HTTP on its port and no https; write http://HOST:8000/, or reach it "
           "through a tunnel of your own";
  }
  const auto parsed = parse_uri(text);
  if (!parsed) return cannot_parse(text, parsed.error(), 0);
  if (parsed->host.empty()) return "a URI of xend's port needs a host: http://HOST:8000/";
  if (text.find('@') != std::string_view::npos) {
    return "a URI of xend's port has no user: xend asks nobody who it is";
  }
  if (text.find_first_of("?#") != std::string_view::npos) {
    return "a URI of xend's port takes neither parameters nor a fragment";
  }
  if (!parsed->path.empty() && parsed->path != "/") {
    return "the path in a URI of xend's port is /, and not " + quoted(parsed->path);
  }
  if (has_controls(parsed->host)) return "the host has control characters";
  if (parsed->port > std::numeric_limits<std::uint16_t>::max()) {
    return "the port " + std::to_string(parsed->port) + " is too large; the last one is 65535";
  }
  to.tunnel.transport = Transport::tcp;
  to.tunnel.host = parsed->host;
  to.tunnel.port = parsed->port == 0 ? kXendPort : static_cast<std::uint16_t>(parsed->port);
  return std::nullopt;
}

}  // namespace

bool is_xend_form(std::string_view text) {
  return text.starts_with('/') || has_scheme(text, "http") || has_scheme(text, "https");
}

base::Result<TargetConfig, std::string> xend_target_of(std::string_view name,
                                                       std::string_view text) {
  TargetConfig target;
  target.name = name;
  target.uri = text;
  target.protocol = Protocol::xend;
  target.tunnel.name = name;
  Wrong wrong = text.starts_with('/') ? read_socket(text, target) : read_port(text, target);
  if (wrong) return base::Failure{std::move(*wrong)};
  return target;
}

std::string xend_place(const TargetConfig& target) {
  if (target.tunnel.transport == Transport::unix) {
    return "the socket " + quoted(target.tunnel.sockets.front());
  }
  return quoted(target.tunnel.host) + ", port " + std::to_string(target.tunnel.port);
}

}  // namespace conf
