// [control] and [metrics], and what they have in common with [[listen]].
#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "conf/accounts.h"
#include "conf/sections.h"
#include "conf/target.h"
#include "conf/text.h"

namespace conf {
namespace {

constexpr Milliseconds kShortestInterval{1000};
constexpr Milliseconds kLongestInterval = std::chrono::hours(1);

std::optional<mode_t> mode_of(std::string_view text) {
  const bool octal =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c < '8'; });
  if (!octal || text.size() < 3 || text.size() > 4 || (text.size() == 4 && text[0] != '0')) {
    return std::nullopt;
  }
  mode_t mode = 0;
  for (const char c : text) mode = mode * 8 + static_cast<mode_t>(c - '0');
  return mode;
}

void read_path(Reader& reader, const Node& node, std::string& to) {
  const auto path = reader.text(node, "a path in quotes");
  if (!path) return;
  if (auto wrong = wrong_socket_path(*path)) {
    reader.mistake(node.position, std::move(*wrong));
  } else if (path->find('%') != std::string::npos) {
    reader.mistake(node.position, "this socket is there once, so its path has no %t");
  } else if (path->size() > kLongestSocketPath) {
    reader.mistake(node.position,
                   "the path " + quoted(*path) + " has " + std::to_string(path->size()) +
                       " bytes; a socket's path can have " + std::to_string(kLongestSocketPath));
  } else {
    to = *path;
  }
}

bool stays_here(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6) != 0;
}

void read_port(Reader& reader, const Node& node, Metrics& to) {
  constexpr std::string_view kWanted =
      "an address of this host's own and a port, such as \"127.0.0.1:9779\" or \"[::1]:9779\"";
  const auto text = reader.text(node, kWanted);
  if (!text) return;
  const std::size_t colon = text->rfind(':');
  const std::string address = text->substr(0, colon);
  const bool brackets = address.size() > 2 && address.front() == '[' && address.back() == ']';
  const std::string host = brackets ? address.substr(1, address.size() - 2) : address;
  const std::uint64_t port =
      colon == std::string::npos ? 0 : decimal(text->substr(colon + 1), 65535).value_or(0);
  const bool v6 = host.find(':') != std::string::npos;
  if (port == 0 || v6 != brackets || !stays_here(host)) {
    reader.mistake(node.position, "\"listen\" is " + quoted(*text) + "; it must be " +
                                      std::string(kWanted) +
                                      ", because whoever reaches it may read it");
    return;
  }
  to.host = host;
  to.port = static_cast<std::uint16_t>(port);
}

void read_textfile(Reader& reader, const Node& node, Metrics& to) {
  const auto path = reader.text(node, "a path in quotes");
  if (!path) return;
  if (has_controls(*path) || !path->starts_with('/') || path->ends_with('/')) {
    reader.mistake(node.position, "\"textfile\" is " + quoted(*path) +
                                      "; it must be the path of a file, and begin with /");
  } else {
    to.textfile = *path;
  }
}

}  // namespace

void read_mode(Reader& reader, const Node& node, mode_t& to) {
  constexpr std::string_view kWanted = "an octal mode in quotes, such as \"0660\"";
  const auto text = reader.text(node, kWanted);
  if (!text) return;
  if (const auto mode = mode_of(*text)) {
    to = *mode;
  } else {
    reader.mistake(node.position,
                   "\"mode\" is " + quoted(*text) + "; it must be " + std::string(kWanted));
  }
}

void read_group(Reader& reader, const Node& node, std::optional<gid_t>& to) {
  const auto name = reader.text(node, "the name of a group, or its number in quotes");
  if (!name) return;
  to = find_group(*name);
  if (!to) reader.mistake(node.position, "there is no group " + quoted(*name));
}

void read_control(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 1> kKeys = {"path"};
  if (!reader.expect(section, Kind::table, "a table, begun by [control]")) return;
  reader.expect_keys(section, "[control]", kKeys);
  if (const Node* node = section.find("path")) {
    read_path(reader, *node, draft.control.path);
    draft.control.place = reader.place(node->position);
  }
}

void read_metrics(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 6> kKeys = {"socket", "mode",     "group",
                                                            "listen", "textfile", "interval"};
  if (!reader.expect(section, Kind::table, "a table, begun by [metrics]")) return;
  reader.expect_keys(section, "[metrics]", kKeys);
  Metrics& to = draft.metrics;
  if (const Node* node = section.find("socket")) {
    read_path(reader, *node, to.socket);
    to.place = reader.place(node->position);
  }
  if (const Node* node = section.find("mode")) read_mode(reader, *node, to.mode);
  if (const Node* node = section.find("group")) read_group(reader, *node, to.group);
  if (const Node* node = section.find("listen")) read_port(reader, *node, to);
  if (const Node* node = section.find("textfile")) read_textfile(reader, *node, to);
  if (const Node* node = section.find("interval")) {
    to.interval = reader.time(*node, kShortestInterval, kLongestInterval).value_or(to.interval);
  }
}

}  // namespace conf
