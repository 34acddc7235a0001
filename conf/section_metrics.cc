// [metrics]
#include <array>
#include <string_view>

#include "base/this_host.h"
#include "conf/sections.h"
#include "conf/text.h"

namespace conf {
namespace {

constexpr Milliseconds kShortestInterval{1000};
constexpr Milliseconds kLongestInterval = std::chrono::hours(1);

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
  if (port == 0 || v6 != brackets || !base::is_loopback_address(host)) {
    reader.mistake(node.position, "\"listen\" is " + quoted(*text) + "; it must be " +
                                      std::string(kWanted) +
                                      ", because everybody who can connect may read it");
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

void read_metrics(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 6> kKeys = {"socket", "mode",     "group",
                                                            "listen", "textfile", "interval"};
  if (!reader.expect(section, NodeKind::table, "a table; write [metrics] above its keys")) return;
  reader.expect_keys(section, "[metrics]", kKeys);
  Metrics& to = draft.metrics;
  if (const Node* node = section.find("socket")) {
    read_single_path(reader, *node, to.socket);
    to.position = reader.position_of(node->position);
    if (!to.socket.empty()) {
      draft.paths.push_back({NamedPath::Kind::parent, to.socket,
                             "the folder of \"socket\" of [metrics]", to.position});
    }
  }
  if (const Node* node = section.find("mode")) read_mode(reader, *node, to.mode);
  if (const Node* node = section.find("group")) {
    read_group(reader, *node, "this socket is for the gate's own user alone until a restart",
               to.group, to.mode);
  }
  if (const Node* node = section.find("listen")) read_port(reader, *node, to);
  if (const Node* node = section.find("textfile")) {
    read_textfile(reader, *node, to);
    if (!to.textfile.empty()) {
      draft.paths.push_back({NamedPath::Kind::parent, to.textfile,
                             "the folder of \"textfile\" of [metrics]",
                             reader.position_of(node->position)});
    }
  }
  if (const Node* node = section.find("interval")) {
    to.interval = reader.time(*node, kShortestInterval, kLongestInterval).value_or(to.interval);
  }
}

}  // namespace conf
