#include "conf/sections.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "conf/target.h"
#include "conf/text.h"

namespace conf {
namespace {

constexpr std::uint64_t kKiB = 1U << 10;
constexpr std::uint64_t kGiB = 1U << 30;
// A frame's length word and 32 MiB: VIR_NET_MESSAGE_MAX and VIR_NET_MESSAGE_LEN_MAX of libvirt.
constexpr std::uint64_t kLargestMessage = (32U << 20) + 4;

template <typename Owner>
struct TimeKey {
  std::string_view key;
  Milliseconds Owner::*field;
  Milliseconds least;
};

template <typename Value>
struct NumberKey {
  std::string_view key;
  Value Limits::*field;
  std::uint64_t least;
  std::uint64_t most;
};

constexpr Milliseconds kLongestTime = std::chrono::hours(24);

constexpr std::array<NumberKey<std::uint32_t>, 7> kCounts = {{
    {"clients", &Limits::clients, 1, 1000000},
    {"clients_per_user", &Limits::clients_per_user, 1, 1000000},
    {"calls_per_client", &Limits::calls_per_client, 1, 1024},
    {"registrations_per_client", &Limits::registrations_per_client, 1, 65536},
    {"open_targets", &Limits::open_targets, 1, 4096},
    {"open_targets_per_user", &Limits::open_targets_per_user, 1, 4096},
    {"keepalive_count", &Limits::keepalive_count, 1, 100},
}};
constexpr std::array<NumberKey<std::uint64_t>, 2> kBuffers = {{
    {"client_buffer", &Limits::client_buffer, 64 * kKiB, kGiB},
    {"user_buffer", &Limits::user_buffer, 64 * kKiB, 64 * kGiB},
}};
constexpr std::array<NumberKey<std::uint32_t>, 2> kMessages = {{
    {"max_message", &Limits::max_message, 64 * kKiB, kLargestMessage},
    {"max_call", &Limits::max_call, 4 * kKiB, kLargestMessage},
}};
constexpr std::array<TimeKey<Limits>, 4> kLimitTimes = {{
    {"open_timeout", &Limits::open_timeout, Milliseconds(1)},
    {"write_timeout", &Limits::write_timeout, Milliseconds(1)},
    {"drain_timeout", &Limits::drain_timeout, Milliseconds(0)},
    {"keepalive_interval", &Limits::keepalive_interval, Milliseconds(0)},
}};
constexpr std::array<TimeKey<Target>, 4> kTargetTimes = {{
    {"open_timeout", &Target::open_timeout, Milliseconds(1)},
    {"call_timeout", &Target::call_timeout, Milliseconds(1)},
    {"retry_timeout", &Target::retry_timeout, Milliseconds(0)},
    {"idle_timeout", &Target::idle_timeout, Milliseconds(0)},
}};

template <typename Owner, std::size_t N>
void read_times(Reader& reader, const Node& table, const std::array<TimeKey<Owner>, N>& keys,
                Owner& to) {
  for (const TimeKey<Owner>& key : keys) {
    const Node* node = table.find(key.key);
    if (node == nullptr) continue;
    if (const auto value = reader.time(*node, key.least, kLongestTime)) to.*key.field = *value;
  }
}

std::optional<XenAbi> abi_of(Reader& reader, const Node& node) {
  constexpr std::string_view kWanted = "\"x86-64\" or \"i386\"";
  const auto text = reader.text(node, kWanted);
  if (!text) return std::nullopt;
  if (*text == "x86-64") return XenAbi::x86_64;
  if (*text == "i386") return XenAbi::i386;
  reader.mistake(node.position,
                 "\"abi\" is " + quoted(*text) + "; it must be " + std::string(kWanted));
  return std::nullopt;
}

void read_protocol(Reader& reader, const Node& table, Listen& listen) {
  constexpr std::string_view kWanted = "\"libvirt\" or \"xen-proxy\"";
  const Node* protocol = table.find("protocol");
  const Node* abi = table.find("abi");
  const auto name = protocol == nullptr ? std::nullopt : reader.text(*protocol, kWanted);
  if (name == "xen-proxy") {
    listen.xen_proxy = XenAbi::x86_64;
  } else if (name && name != "libvirt") {
    reader.mistake(protocol->position,
                   "\"protocol\" is " + quoted(*name) + "; it must be " + std::string(kWanted));
  } else if (abi != nullptr && (protocol == nullptr || name)) {
    reader.mistake(abi->key_position, "abi is for sockets with protocol = \"xen-proxy\"");
  }
  if (abi == nullptr) return;
  const auto wanted = abi_of(reader, *abi);
  if (listen.xen_proxy && wanted) listen.xen_proxy = wanted;
}

void read_socket(Reader& reader, const Node& table, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 6> kKeys = {"path",   "mode",     "group",
                                                            "target", "protocol", "abi"};
  reader.expect_keys(table, "[[listen]]", kKeys);
  ListenDraft out;
  out.listen.place = reader.place(table.position);
  if (const Node* node = table.find("mode")) read_mode(reader, *node, out.listen.mode);
  if (const Node* node = table.find("group")) read_group(reader, *node, out.listen.group);
  read_protocol(reader, table, out.listen);
  const Node* path = table.find("path");
  if (path == nullptr) {
    reader.mistake(table.position, "[[listen]] has no \"path\"");
    return;
  }
  const Node* target = table.find("target");
  if (target != nullptr) {
    out.listen.target = reader.text(*target, "the name of a target").value_or("");
    out.target_place = reader.place(target->position);
  }
  out.listen.path = reader.text(*path, "a path in quotes").value_or("");
  out.path_place = reader.place(path->position);
  if (path->kind != Kind::text) return;
  if (auto wrong = wrong_socket_path(out.listen.path)) {
    reader.mistake(path->position, std::move(*wrong));
    return;
  }
  if (target != nullptr && out.listen.path.find("%t") != std::string::npos) {
    reader.mistake(target->position, "each socket of a path with %t has the target of its name");
    out.listen.target.clear();
  }
  if (out.listen.xen_proxy && target == nullptr &&
      out.listen.path.find("%t") == std::string::npos) {
    reader.mistake(table.position, "[[listen]] with protocol = \"xen-proxy\" has no \"target\"");
  }
  draft.listen.push_back(std::move(out));
}

constexpr std::string_view kTargetWanted = "a URI in quotes, or a table { uri = \"...\" }";

void read_passphrase_file(Reader& reader, const Node& node, Target& target) {
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

void read_forwards(Reader& reader, const Node& node, Target& target) {
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

void read_target_keys(Reader& reader, const Node& table, Target& target) {
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
  if (const Node* node = table.find("upstreams")) {
    if (const auto value = reader.count(*node, 1, 1000)) {
      target.upstreams = static_cast<std::uint32_t>(*value);
    }
  }
  if (const Node* node = table.find("forward")) read_forwards(reader, *node, target);
  if (const Node* node = table.find("insecure")) {
    target.tunnel.insecure = reader.boolean(*node).value_or(false);
  }
}

const Node* uri_of(Reader& reader, const Node& node) {
  static constexpr std::array<std::string_view, 11> kKeys = {
      "uri",          "upstreams",       "call_timeout",  "open_timeout",    "retry_timeout",
      "idle_timeout", "connect_timeout", "login_timeout", "passphrase_file", "forward",
      "insecure"};
  if (node.kind == Kind::text) return &node;
  if (!reader.expect(node, Kind::table, kTargetWanted)) return nullptr;
  reader.expect_keys(node, "target " + quoted(node.key), kKeys);
  const Node* uri = node.find("uri");
  if (uri == nullptr) {
    reader.mistake(node.key_position, "target " + quoted(node.key) + " has no \"uri\"");
    return nullptr;
  }
  return reader.expect(*uri, Kind::text, "a URI in quotes") ? uri : nullptr;
}

void read_target(Reader& reader, const Node& node, const Environment& environment,
                 ConfigDraft& draft) {
  for (const Placed& other : draft.target_names) {
    if (other.text != node.key) continue;
    reader.mistake(node.key_position, "there is a target " + quoted(node.key) + " already, in " +
                                          other.place.file + " line " +
                                          std::to_string(other.place.line));
  }
  draft.target_names.push_back({node.key, reader.place(node.key_position)});
  if (auto wrong = wrong_target_name(node.key)) {
    reader.mistake(node.key_position, std::move(*wrong));
  }
  Target target;
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
  if (node.kind == Kind::table) read_target_keys(reader, node, target);
  if (uri == nullptr) return;
  if (auto why = why_unprotected(target)) reader.mistake(uri->position, std::move(*why));
  target.place = reader.place(node.key_position);
  draft.targets.push_back(std::move(target));
}

template <typename Value, std::size_t N, typename Read>
void read_numbers(const Node& section, const std::array<NumberKey<Value>, N>& keys, Limits& limits,
                  Read read) {
  for (const NumberKey<Value>& key : keys) {
    const Node* node = section.find(key.key);
    if (node == nullptr) continue;
    const auto value = read(*node, key.least, key.most);
    if (value) limits.*key.field = static_cast<Value>(*value);
  }
}

template <typename Keys>
void append_keys(std::vector<std::string_view>& to, const Keys& keys) {
  for (const auto& key : keys) to.push_back(key.key);
}

}  // namespace

std::optional<std::string> wrong_socket_path(std::string_view path) {
  if (path.empty()) return "the path is empty";
  if (has_controls(path)) return "the path has control characters";
  if (path[0] != '/' && path[0] != '@') {
    return "the path " + quoted(path) +
           " is relative; it must begin with /, or with @ for the abstract namespace";
  }
  if (path == "@" || path.back() == '/') return "the path " + quoted(path) + " names no socket";
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    if (path.substr(at, 2) != "%t") {
      return "the path " + quoted(path) + " has a % that is not %t, the name of a target";
    }
  }
  return std::nullopt;
}

void read_listen(Reader& reader, const Node& section, ConfigDraft& draft) {
  for (const Node* table : reader.tables(section, "[[listen]]")) {
    read_socket(reader, *table, draft);
  }
}

void read_targets(Reader& reader, const Node& section, const Environment& environment,
                  ConfigDraft& draft) {
  if (!reader.expect(section, Kind::table, "a table, begun by [targets]")) return;
  for (const Node& node : section.children) read_target(reader, node, environment, draft);
}

void read_limits(Reader& reader, const Node& section, ConfigDraft& draft) {
  if (!reader.expect(section, Kind::table, "a table, begun by [limits]")) return;
  std::vector<std::string_view> keys;
  append_keys(keys, kCounts);
  append_keys(keys, kBuffers);
  append_keys(keys, kMessages);
  append_keys(keys, kLimitTimes);
  reader.expect_keys(section, "[limits]", keys);
  const auto count = [&](const Node& node, std::uint64_t least, std::uint64_t most) {
    return reader.count(node, least, most);
  };
  const auto size = [&](const Node& node, std::uint64_t least, std::uint64_t most) {
    return reader.size(node, least, most);
  };
  read_numbers(section, kCounts, draft.limits, count);
  read_numbers(section, kBuffers, draft.limits, size);
  read_numbers(section, kMessages, draft.limits, size);
  read_times(reader, section, kLimitTimes, draft.limits);
}

}  // namespace conf
