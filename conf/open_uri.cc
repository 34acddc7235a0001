#include "conf/open_uri.h"

#include <algorithm>
#include <utility>

#include "conf/target.h"
#include "conf/text.h"

namespace conf {
namespace {

constexpr std::size_t kLongestPart = 255;
constexpr Milliseconds kIdle{60000};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' || c == '_' ||
         c == '-';
}

// Of characters that mean nothing to a shell, a file system or an option parser.
bool is_plain(std::string_view text, std::string_view more) {
  return text.size() <= kLongestPart && !text.starts_with('-') &&
         std::ranges::all_of(
             text, [&](char c) { return is_plain(c) || more.find(c) != std::string_view::npos; });
}

std::string_view transport_word(tunnel::Transport transport) {
  switch (transport) {
    case tunnel::Transport::ssh:
      return "ssh";
    case tunnel::Transport::tls:
      return "tls";
    case tunnel::Transport::tcp:
      return "tcp";
    case tunnel::Transport::unix:
    case tunnel::Transport::ext:
      break;
  }
  return {};
}

std::string written(const policy::UriParts& parts) {
  std::string text = parts.scheme + "://";
  if (!parts.user.empty()) text += parts.user + '@';
  const bool v6 = parts.host.find(':') != std::string::npos;
  text += v6 ? '[' + parts.host + ']' : parts.host;
  if (!parts.usual_port) text += ':' + std::to_string(parts.port);
  return text + parts.path;
}

bool is_port_pattern(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '*'; });
}

}  // namespace

bool is_uri_pattern(std::string_view text) { return text.find("://") != std::string_view::npos; }

base::Result<policy::UriPattern, std::string> parse_uri_pattern(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return base::Failure{quoted(text) + " is no pattern of URIs: " + why};
  };
  const std::size_t slashes = text.find("://");
  if (slashes == std::string_view::npos) {
    return wrong("it must be like \"qemu+ssh://monitor@*.example.com/system\"");
  }
  policy::UriPattern out;
  out.scheme = text.substr(0, slashes);
  std::string_view rest = text.substr(slashes + 3);
  const std::size_t path = rest.find('/');
  if (path == std::string_view::npos) return wrong("it has no path");
  out.path = rest.substr(path);
  rest = rest.substr(0, path);
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    out.user = rest.substr(0, at);
    if (out.user.empty()) return wrong("it has an @ and no user");
    rest.remove_prefix(at + 1);
  }
  std::size_t end = rest.find(':');
  if (rest.starts_with('[')) {
    end = rest.find(']');
    if (end == std::string_view::npos) return wrong("it has a [ without a ]");
    out.host = lower(rest.substr(1, end - 1));
    ++end;
  } else {
    out.host = lower(rest.substr(0, end));
  }
  if (out.host.empty()) return wrong("it has no host");
  if (end < rest.size()) {
    out.port = rest.substr(end + 1);
    if (rest[end] != ':' || !is_port_pattern(out.port)) {
      return wrong("its port must be of digits and *");
    }
  }
  if (out.scheme.empty() || !is_plain(out.scheme, "+*")) {
    return wrong("its scheme must be driver+transport, such as \"qemu+ssh\" or \"*+tls\"");
  }
  if (out.scheme != "*" && out.scheme.find('+') == std::string::npos) {
    return wrong("its scheme names no transport, as in " + quoted(out.scheme + "+tls"));
  }
  if (!is_plain(out.user, "*") || !is_plain(out.host, ":*") || !is_plain(out.path, "/*")) {
    return wrong(
        "its parts can have letters, digits, '.', '_', '-' and *, which is all that such URIs may "
        "have");
  }
  return out;
}

base::Result<OpenedUri, std::string> opened_uri(const Uri& asked) {
  if (!asked.parameters.empty()) {
    return base::Failure{"has the parameter " + quoted(asked.parameters.front().first) +
                         ", and clients may name none"};
  }
  if (!asked.fragment.empty()) return base::Failure{std::string("has a fragment")};
  const auto transport = transport_of(asked);
  const std::string_view word = transport ? transport_word(*transport) : std::string_view();
  if (word.empty() || asked.host.empty()) {
    return base::Failure{
        std::string("is not a URI of a daemon that is reached by ssh, tls or tcp")};
  }
  if (asked.driver.empty() || !is_plain(asked.driver, "") || !is_plain(asked.user, "") ||
      !is_plain(asked.host, ":") || !asked.path.starts_with('/') || !is_plain(asked.path, "/")) {
    return base::Failure{
        std::string("has other characters than letters, digits, '.', '_' and '-' in its parts")};
  }
  OpenedUri out;
  out.parts.scheme = asked.driver + '+' + std::string(word);
  out.parts.user = asked.user;
  out.parts.host = lower(asked.host);
  out.parts.port = port_of(asked, *transport);
  Uri without = asked;
  without.port = 0;
  out.parts.usual_port = out.parts.port == port_of(without, *transport);
  out.parts.path = asked.path;
  out.text = written(out.parts);
  return out;
}

base::Result<TargetConfig, std::string> opened_target(const OpenedUri& uri,
                                                      const policy::OpenUri& open,
                                                      const Environment& environment) {
  auto target = target_of(uri.text, uri.text, environment);
  if (!target) return target;
  if (auto why = why_unprotected(*target)) return base::Failure{std::move(*why)};
  target->tunnel.local_addresses = open.local_addresses;
  target->idle_timeout = kIdle;
  return target;
}

}  // namespace conf
