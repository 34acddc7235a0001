// [targets]
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "conf/drivers.h"
#include "conf/sections.h"
#include "conf/target.h"
#include "conf/text.h"
#include "conf/time_keys.h"

namespace conf {
namespace {

struct TargetCount {
  std::string_view key;
  std::uint32_t TargetConfig::*field;
  std::uint64_t least;
  std::uint64_t most;
};

constexpr std::array<TargetCount, 5> kTargetCounts = {{
    {"upstreams", &TargetConfig::upstreams, 1, 1000},
    {"spare", &TargetConfig::spare, 0, 100},
    {"calls_per_subject", &TargetConfig::calls_per_subject, 1, 100},
    {"overdue_calls", &TargetConfig::overdue_calls, 1, 1000},
    {"keepalive_count", &TargetConfig::keepalive_count, 1, 100},
}};

constexpr std::array<TimeKey<TargetConfig>, 6> kTargetTimes = {{
    {"open_timeout", &TargetConfig::open_timeout, Milliseconds(1)},
    {"call_timeout", &TargetConfig::call_timeout, Milliseconds(1)},
    {"retry_timeout", &TargetConfig::retry_timeout, Milliseconds(0)},
    {"idle_timeout", &TargetConfig::idle_timeout, Milliseconds(0)},
    {"max_age", &TargetConfig::max_age, Milliseconds(0), std::chrono::minutes(5)},
    {"keepalive_interval", &TargetConfig::keepalive_interval, Milliseconds(0)},
}};

constexpr std::string_view kTargetWanted = "a URI in quotes, or a table { uri = \"...\" }";

void read_passphrase_file(Reader& reader, const Node& node, TargetConfig& target) {
  const auto value = reader.text(node, "the name of a file");
  if (!value) return;
  if (value->empty() || value->find('\0') != std::string::npos) {
    reader.mistake(node.position, "passphrase_file names no file");
  } else if (target.tunnel.keyfile.empty()) {
    reader.mistake(node.position, "passphrase_file is for a target with keyfile= in its URI");
  } else {
    target.tunnel.passphrase_file = *value;
  }
}

void read_forwards(Reader& reader, const Node& node, TargetConfig& target) {
  if (target.tunnel.transport != tunnel::Transport::ssh) {
    reader.mistake(node.key_position, "forward is for targets that are reached through ssh");
  }
  for (const Node* text : reader.texts(node)) {
    auto forward = parse_forward(text->text);
    if (forward) {
      target.forwards.push_back(std::move(forward).value());
    } else {
      reader.mistake(text->position, "\"forward\" holds " + quoted(text->text) + "; it must be " +
                                         "HOST:PORT or HOST:FIRST-LAST: " + forward.error());
    }
  }
}

void read_target_keys(Reader& reader, const Node& table, TargetConfig& target) {
  read_times(reader, table, kTargetTimes, target);
  tunnel::Timeouts& times = target.tunnel.timeouts;
  if (const Node* node = table.find("connect_timeout")) {
    const auto value = reader.time(*node, Milliseconds(1), kLongestTime);
    if (value) times.look_up = times.connect = *value;
  }
  if (const Node* node = table.find("login_timeout")) {
    const auto value = reader.time(*node, Milliseconds(1), kLongestTime);
    if (value) times.handshake = times.authentication = times.channel = *value;
  }
  if (const Node* node = table.find("passphrase_file")) {
    read_passphrase_file(reader, *node, target);
  }
  for (const TargetCount& key : kTargetCounts) {
    const Node* node = table.find(key.key);
    if (node == nullptr) continue;
    if (const auto value = reader.count(*node, key.least, key.most)) {
      target.*key.field = static_cast<std::uint32_t>(*value);
    }
  }
  if (const Node* node = table.find("forward")) read_forwards(reader, *node, target);
  if (const Node* node = table.find("stats_nowait")) {
    target.stats_nowait = reader.boolean(*node).value_or(false);
  }
  if (const Node* node = table.find("insecure")) {
    target.tunnel.insecure = reader.boolean(*node).value_or(false);
  }
}

constexpr std::array<std::string_view, 18> kTargetKeys = {"uri",
                                                          "spare",
                                                          "calls_per_subject",
                                                          "overdue_calls",
                                                          "upstreams",
                                                          "call_timeout",
                                                          "open_timeout",
                                                          "retry_timeout",
                                                          "idle_timeout",
                                                          "max_age",
                                                          "stats_nowait",
                                                          "connect_timeout",
                                                          "login_timeout",
                                                          "passphrase_file",
                                                          "forward",
                                                          "insecure",
                                                          "keepalive_interval",
                                                          "keepalive_count"};

// TOML takes hail.example.com = "..." for a table in a table; empty: this is no such thing.
std::string dotted_name(const Node& node) {
  std::string name = node.key;
  const Node* at = &node;
  while (at->kind == NodeKind::table && at->children.size() == 1 && at->find("uri") == nullptr) {
    at = &at->children.front();
    name += '.' + at->key;
  }
  // [targets.hail] with a misspelt uri looks the same.
  if (nearest(at->key, kTargetKeys)) return {};
  return at != &node && at->kind == NodeKind::text && at->text.find(":/") != std::string::npos
             ? name
             : std::string();
}

const Node* uri_of(Reader& reader, const Node& node) {
  if (node.kind == NodeKind::text) return &node;
  if (!reader.expect(node, NodeKind::table, kTargetWanted)) return nullptr;
  if (const std::string name = dotted_name(node); !name.empty()) {
    reader.mistake(node.key_position, "a name with dots needs quotes; write " + quoted(name));
    return nullptr;
  }
  reader.expect_keys(node, "target " + quoted(node.key), kTargetKeys);
  const Node* uri = node.find("uri");
  if (uri == nullptr) {
    reader.mistake(node.key_position, "target " + quoted(node.key) + " has no \"uri\"");
    return nullptr;
  }
  return reader.expect(*uri, NodeKind::text, "a URI in quotes") ? uri : nullptr;
}

void read_target(Reader& reader, const Node& node, const Environment& environment,
                 ConfigDraft& draft) {
  for (const Positioned& other : draft.target_names) {
    if (other.text != node.key) continue;
    reader.mistake(node.key_position, "there is a target " + quoted(node.key) + " already, in " +
                                          other.position.file + " line " +
                                          std::to_string(other.position.line));
  }
  draft.target_names.push_back({node.key, reader.position_of(node.key_position)});
  if (auto wrong = wrong_target_name(node.key)) {
    reader.mistake(node.key_position, std::move(*wrong));
  }
  TargetConfig target;
  const Node* uri = uri_of(reader, node);
  if (uri != nullptr) {
    auto made = target_of(node.key, uri->text, environment);
    if (made) {
      target = std::move(made).value();
    } else {
      reader.mistake(uri->position, made.error());
      uri = nullptr;
    }
  }
  if (node.kind == NodeKind::table) read_target_keys(reader, node, target);
  if (uri == nullptr) return;
  if (auto why = why_unprotected(target)) reader.mistake(uri->position, std::move(*why));
  target.position = reader.position_of(node.key_position);
  for (NamedPath& path : paths_of(target, reader.position_of(uri->position))) {
    draft.paths.push_back(std::move(path));
  }
  for (std::string& doubt : doubts_about(target)) reader.warn(uri->position, std::move(doubt));
  draft.targets.push_back(std::move(target));
}

}  // namespace

void read_targets(Reader& reader, const Node& section, const Environment& environment,
                  ConfigDraft& draft) {
  if (!reader.expect(section, NodeKind::table, "a table; write [targets] above its keys")) return;
  for (const Node& node : section.children) read_target(reader, node, environment, draft);
}

}  // namespace conf
