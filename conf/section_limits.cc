// [limits]
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "conf/sections.h"
#include "conf/time_keys.h"

namespace conf {
namespace {

constexpr std::uint64_t kKiB = 1U << 10;
constexpr std::uint64_t kMiB = 1U << 20;
constexpr std::uint64_t kGiB = 1U << 30;
// A frame's length word and 32 MiB: VIR_NET_MESSAGE_MAX and VIR_NET_MESSAGE_LEN_MAX of libvirt.
constexpr std::uint64_t kLargestMessage = (32U << 20) + 4;

template <typename Value>
struct NumberKey {
  std::string_view key;
  Value Limits::*field;
  std::uint64_t least;
  std::uint64_t most;
};

constexpr std::array<NumberKey<std::uint32_t>, 7> kCounts = {{
    {"clients", &Limits::clients, 1, 1000000},
    {"clients_per_user", &Limits::clients_per_user, 1, 1000000},
    {"calls_per_client", &Limits::calls_per_client, 1, 1024},
    {"registrations_per_client", &Limits::registrations_per_client, 1, 65536},
    {"open_targets", &Limits::open_targets, 1, 4096},
    {"open_targets_per_user", &Limits::open_targets_per_user, 1, 4096},
    {"keepalive_count", &Limits::keepalive_count, 1, 100},
}};
constexpr std::array<NumberKey<std::optional<std::uint64_t>>, 1> kWholes = {{
    {"buffer", &Limits::buffer, kMiB, 1024 * kGiB},
}};
constexpr std::array<NumberKey<std::uint64_t>, 4> kBuffers = {{
    {"client_buffer", &Limits::client_buffer, 64 * kKiB, kGiB},
    {"user_buffer", &Limits::user_buffer, 64 * kKiB, 64 * kGiB},
    {"user_log", &Limits::user_log, 64 * kKiB, 1024 * kGiB},
    {"user_audit", &Limits::user_audit, 64 * kKiB, 1024 * kGiB},
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

void read_limits(Reader& reader, const Node& section, ConfigDraft& draft) {
  if (!reader.expect(section, NodeKind::table, "a table; write [limits] above its keys")) return;
  std::vector<std::string_view> keys;
  append_keys(keys, kCounts);
  append_keys(keys, kBuffers);
  append_keys(keys, kWholes);
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
  read_numbers(section, kWholes, draft.limits, size);
  read_numbers(section, kMessages, draft.limits, size);
  read_times(reader, section, kLimitTimes, draft.limits);
}

}  // namespace conf
