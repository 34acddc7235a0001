#include "policy/events.h"

#include <array>

#include "policy/procedures.h"

namespace policy {
namespace {

using enum EventFamily;
using enum Remote;

constexpr std::int32_t kNone = 0;

constexpr std::array kKinds{
    EventKind{domain, 0, number(DOMAIN_EVENT_CALLBACK_LIFECYCLE), number(DOMAIN_EVENT_LIFECYCLE)},
    EventKind{domain, 1, number(DOMAIN_EVENT_CALLBACK_REBOOT), number(DOMAIN_EVENT_REBOOT)},
    EventKind{domain, 2, number(DOMAIN_EVENT_CALLBACK_RTC_CHANGE), number(DOMAIN_EVENT_RTC_CHANGE)},
    EventKind{domain, 3, number(DOMAIN_EVENT_CALLBACK_WATCHDOG), number(DOMAIN_EVENT_WATCHDOG)},
    EventKind{domain, 4, number(DOMAIN_EVENT_CALLBACK_IO_ERROR), number(DOMAIN_EVENT_IO_ERROR)},
    EventKind{domain, 5, number(DOMAIN_EVENT_CALLBACK_GRAPHICS), number(DOMAIN_EVENT_GRAPHICS)},
    EventKind{domain, 6, number(DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON),
              number(DOMAIN_EVENT_IO_ERROR_REASON)},
    EventKind{domain, 7, number(DOMAIN_EVENT_CALLBACK_CONTROL_ERROR),
              number(DOMAIN_EVENT_CONTROL_ERROR)},
    EventKind{domain, 8, number(DOMAIN_EVENT_CALLBACK_BLOCK_JOB), number(DOMAIN_EVENT_BLOCK_JOB)},
    EventKind{domain, 9, number(DOMAIN_EVENT_CALLBACK_DISK_CHANGE),
              number(DOMAIN_EVENT_DISK_CHANGE)},
    EventKind{domain, 10, number(DOMAIN_EVENT_CALLBACK_TRAY_CHANGE),
              number(DOMAIN_EVENT_TRAY_CHANGE)},
    EventKind{domain, 11, number(DOMAIN_EVENT_CALLBACK_PMWAKEUP), number(DOMAIN_EVENT_PMWAKEUP)},
    EventKind{domain, 12, number(DOMAIN_EVENT_CALLBACK_PMSUSPEND), number(DOMAIN_EVENT_PMSUSPEND)},
    EventKind{domain, 13, number(DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE),
              number(DOMAIN_EVENT_BALLOON_CHANGE)},
    EventKind{domain, 14, number(DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK),
              number(DOMAIN_EVENT_PMSUSPEND_DISK)},
    EventKind{domain, 15, number(DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED),
              number(DOMAIN_EVENT_DEVICE_REMOVED)},
    EventKind{domain, 16, number(DOMAIN_EVENT_BLOCK_JOB_2), kNone},
    EventKind{domain, 17, number(DOMAIN_EVENT_CALLBACK_TUNABLE), kNone},
    EventKind{domain, 18, number(DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE), kNone},
    EventKind{domain, 19, number(DOMAIN_EVENT_CALLBACK_DEVICE_ADDED), kNone},
    EventKind{domain, 20, number(DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION), kNone},
    EventKind{domain, 21, number(DOMAIN_EVENT_CALLBACK_JOB_COMPLETED), kNone},
    EventKind{domain, 22, number(DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED), kNone},
    EventKind{domain, 23, number(DOMAIN_EVENT_CALLBACK_METADATA_CHANGE), kNone},
    EventKind{domain, 24, number(DOMAIN_EVENT_BLOCK_THRESHOLD), kNone},
    EventKind{domain, 25, number(DOMAIN_EVENT_MEMORY_FAILURE), kNone},
    EventKind{domain, 26, number(DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE), kNone},
    EventKind{domain, 27, number(DOMAIN_EVENT_NIC_MAC_CHANGE), kNone},
    EventKind{network, 0, number(NETWORK_EVENT_LIFECYCLE), kNone},
    EventKind{network, 1, number(NETWORK_EVENT_CALLBACK_METADATA_CHANGE), kNone},
    EventKind{storage_pool, 0, number(STORAGE_POOL_EVENT_LIFECYCLE), kNone},
    EventKind{storage_pool, 1, number(STORAGE_POOL_EVENT_REFRESH), kNone},
    EventKind{node_device, 0, number(NODE_DEVICE_EVENT_LIFECYCLE), kNone},
    EventKind{node_device, 1, number(NODE_DEVICE_EVENT_UPDATE), kNone},
    EventKind{secret, 0, number(SECRET_EVENT_LIFECYCLE), kNone},
    EventKind{secret, 1, number(SECRET_EVENT_VALUE_CHANGED), kNone},
};

constexpr std::array kCalls{
    EventCall{number(CONNECT_DOMAIN_EVENT_REGISTER), domain, true, true},
    EventCall{number(CONNECT_DOMAIN_EVENT_DEREGISTER), domain, false, true},
    EventCall{number(CONNECT_DOMAIN_EVENT_REGISTER_ANY), domain, true, true},
    EventCall{number(CONNECT_DOMAIN_EVENT_DEREGISTER_ANY), domain, false, true},
    EventCall{number(CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY), domain, true, false},
    EventCall{number(CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY), domain, false, false},
    EventCall{number(CONNECT_NETWORK_EVENT_REGISTER_ANY), network, true, false},
    EventCall{number(CONNECT_NETWORK_EVENT_DEREGISTER_ANY), network, false, false},
    EventCall{number(CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY), storage_pool, true, false},
    EventCall{number(CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY), storage_pool, false, false},
    EventCall{number(CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY), node_device, true, false},
    EventCall{number(CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY), node_device, false, false},
    EventCall{number(CONNECT_SECRET_EVENT_REGISTER_ANY), secret, true, false},
    EventCall{number(CONNECT_SECRET_EVENT_DEREGISTER_ANY), secret, false, false},
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
