// What there is in a gate at one moment, as values: what status shows and metrics are made of.
//
// Texts are foreign, and whoever shows them makes them printable. Of clients and users there are no
// more than the bounds below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/counters.h"

namespace proxy {

// How the last upstream that was lost, or could not be opened, ended.
struct UpstreamFailure {
  tunnel::io::Stage stage = tunnel::io::Stage::established;
  std::string text;
  tunnel::io::Milliseconds at{0};
};

struct UpstreamSnapshot {
  std::string state;  // "opening", "open" or "closing"
  std::string stage;  // of the opening, or "established"
  std::uint64_t in_flight = 0;
};

struct FailureSnapshot {
  std::string stage;
  std::string reason;
  std::uint64_t age_ms = 0;
};

struct TargetSnapshot {
  std::string name;
  std::string uri;
  std::string transport;
  std::string counted_as;  // the name of its counters
  // "open": an upstream is; "opening"; "failing": the last attempt failed; "idle": nobody needs it.
  std::string state;
  std::uint64_t clients = 0;
  std::uint64_t waiting = 0;  // calls that wait for a place at the daemon
  std::uint64_t in_flight = 0;
  std::uint64_t registrations = 0;  // for events
  std::vector<UpstreamSnapshot> upstreams;
  std::vector<FailureSnapshot> last_failure;  // one or none
};

struct UserSnapshot {
  std::uint64_t uid = 0;
  std::uint64_t clients = 0;
  std::uint64_t buffered = 0;  // bytes that wait for them to be read
};

struct ClientSnapshot {
  std::uint64_t number = 0;
  std::uint64_t uid = 0;
  std::uint64_t pid = 0;
  std::string target;  // empty: none
  std::string state;
  std::uint64_t calls = 0;    // that passed
  std::uint64_t refused = 0;  // or failed
  std::uint64_t outstanding = 0;
  std::uint64_t buffered = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t age_ms = 0;
};

struct Snapshot {
  static constexpr std::size_t kMostClients = 500;  // those with the most calls
  static constexpr std::size_t kMostUsers = 200;    // those with the most clients

  std::string version;
  std::uint64_t pid = 0;
  std::uint64_t started = 0;  // seconds since 1970
  std::uint64_t uptime_ms = 0;
  bool draining = false;

  std::uint64_t client_count = 0;
  std::uint64_t user_count = 0;
  std::uint64_t accepted = 0;
  std::uint64_t turned_away = 0;
  std::uint64_t buffered = 0;
  Traffic traffic;
  Refusals refusals;
  std::vector<TargetCounters> counters;

  std::vector<TargetSnapshot> targets;
  std::vector<UserSnapshot> users;
  std::vector<ClientSnapshot> clients;

  // Null when there are none of that name.
  [[nodiscard]] const TargetCounters* counters_of(const std::string& name) const;
};

std::uint64_t milliseconds_since(tunnel::io::Milliseconds then, tunnel::io::Milliseconds now);
std::vector<FailureSnapshot> describe(const std::optional<UpstreamFailure>& failure,
                                      tunnel::io::Milliseconds now);

}  // namespace proxy
