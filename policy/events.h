// Which events there are, how they are asked for, and as what they come (remote_protocol.x).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace policy {

// Events of a family share a pair of calls, and the daemon's callback ids are unique within it.
enum class EventFamily : std::uint8_t { domain, network, storage_pool, node_device, secret };

struct EventKind {
  EventFamily family;
  std::int32_t id;         // what a registration names
  std::int32_t procedure;  // of the message, whose first field is the callback id
  // Of the message that the older registration brings, without that field; 0: none.
  std::int32_t older;
};

// A call that registers or deregisters.
struct EventCall {
  std::int32_t procedure;
  EventFamily family;
  bool adds;
  bool older;  // 105, 106, 167, 168: no callback ids, domains only
};

std::span<const EventKind> event_kinds();
std::span<const EventCall> event_calls();

// Null when there is none.
const EventKind* find_event(EventFamily family, std::int32_t id);
const EventKind* find_event_message(std::int32_t procedure);
const EventCall* find_event_call(std::int32_t procedure);
// The call of the newer kind that registers or deregisters in a family.
std::int32_t event_procedure(EventFamily family, bool adds);

}  // namespace policy
