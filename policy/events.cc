#include "policy/events.h"

#include <array>

namespace policy {
namespace {

using enum EventFamily;

constexpr std::array kKinds{
    EventKind{domain, 0, 318, 107},     EventKind{domain, 1, 319, 169},
    EventKind{domain, 2, 320, 170},     EventKind{domain, 3, 321, 171},
    EventKind{domain, 4, 322, 172},     EventKind{domain, 5, 323, 173},
    EventKind{domain, 6, 324, 195},     EventKind{domain, 7, 325, 224},
    EventKind{domain, 8, 326, 241},     EventKind{domain, 9, 327, 248},
    EventKind{domain, 10, 328, 268},    EventKind{domain, 11, 329, 269},
    EventKind{domain, 12, 330, 270},    EventKind{domain, 13, 331, 276},
    EventKind{domain, 14, 332, 292},    EventKind{domain, 15, 333, 311},
    EventKind{domain, 16, 339, 0},      EventKind{domain, 17, 346, 0},
    EventKind{domain, 18, 348, 0},      EventKind{domain, 19, 354, 0},
    EventKind{domain, 20, 359, 0},      EventKind{domain, 21, 363, 0},
    EventKind{domain, 22, 367, 0},      EventKind{domain, 23, 379, 0},
    EventKind{domain, 24, 385, 0},      EventKind{domain, 25, 423, 0},
    EventKind{domain, 26, 438, 0},      EventKind{domain, 27, 453, 0},
    EventKind{network, 0, 315, 0},      EventKind{network, 1, 446, 0},
    EventKind{storage_pool, 0, 370, 0}, EventKind{storage_pool, 1, 373, 0},
    EventKind{node_device, 0, 376, 0},  EventKind{node_device, 1, 377, 0},
    EventKind{secret, 0, 382, 0},       EventKind{secret, 1, 383, 0},
};

constexpr std::array kCalls{
    EventCall{105, domain, true, true},        EventCall{106, domain, false, true},
    EventCall{167, domain, true, true},        EventCall{168, domain, false, true},
    EventCall{316, domain, true, false},       EventCall{317, domain, false, false},
    EventCall{313, network, true, false},      EventCall{314, network, false, false},
    EventCall{368, storage_pool, true, false}, EventCall{369, storage_pool, false, false},
    EventCall{374, node_device, true, false},  EventCall{375, node_device, false, false},
    EventCall{380, secret, true, false},       EventCall{381, secret, false, false},
};

}  // namespace

std::span<const EventKind> event_kinds() { return kKinds; }
std::span<const EventCall> event_calls() { return kCalls; }

const EventKind* find_event(EventFamily family, std::int32_t id) {
  for (const EventKind& kind : kKinds) {
    if (kind.family == family && kind.id == id) return &kind;
  }
  return nullptr;
}

const EventKind* find_event_message(std::int32_t procedure) {
  for (const EventKind& kind : kKinds) {
    if (kind.procedure == procedure) return &kind;
  }
  return nullptr;
}

const EventCall* find_event_call(std::int32_t procedure) {
  for (const EventCall& call : kCalls) {
    if (call.procedure == procedure) return &call;
  }
  return nullptr;
}

std::int32_t event_procedure(EventFamily family, bool adds) {
  for (const EventCall& call : kCalls) {
    if (call.family == family && call.adds == adds && !call.older) return call.procedure;
  }
  return 0;
}

}  // namespace policy
