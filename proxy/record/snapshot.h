// What there is in a gate at one moment, as values: what status shows and metrics are made of.
//
// Texts are foreign, and are to be escaped where they are shown. Of clients and users there are no
// more than the bounds below.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/values.h"
#include "proxy/record/counters.h"

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
  std::uint64_t silent_ms = 0;  // it answers no ping, and answered last so long ago
};

struct FailureSnapshot {
  std::string stage;
  std::string reason;
  std::uint64_t age_ms = 0;
};

// A subject of which calls are overdue, or that is silent.
struct TroubleSnapshot {
  std::string subject;
  bool silent = false;
  std::string procedure;  // of the oldest call
  std::uint64_t age_ms = 0;
  std::vector<std::uint64_t> uids;  // who asked, in order
};

struct TargetSnapshot {
  static constexpr std::size_t kMostTroubles = 64;

  std::string name;
  std::string uri;
  std::string transport;
  std::string counted_as;  // the name of its counters
  // "open": an upstream is; "opening"; "failing": the last attempt failed; "idle": nobody needs it.
  std::string state;
  std::uint64_t clients = 0;
  std::uint64_t waiting = 0;  // calls that wait for a place at the daemon
  std::uint64_t in_flight = 0;
  std::uint64_t overdue = 0;    // of these, for much longer than their kind takes
  std::uint64_t abandoned = 0;  // of these, whose clients do not wait any more
  std::uint64_t silent = 0;     // subjects
  // No open upstream answers pings, and the last that was heard of any is so old; 0: one does.
  std::uint64_t silent_ms = 0;
  std::vector<TroubleSnapshot> troubles;
  std::uint64_t registrations = 0;  // for events
  std::vector<UpstreamSnapshot> upstreams;
  std::vector<FailureSnapshot> last_failure;  // one or none
};

struct UserSnapshot {
  std::uint64_t uid = 0;
  std::uint64_t clients = 0;
  std::uint64_t buffered = 0;  // bytes that wait for them to be read
  std::uint64_t held = 0;      // with those expected, and those of calls
};

// Who holds how many bytes, for when there is no memory to say it with.
struct MemoryUse {
  std::uint64_t clients = 0;
  std::uint64_t users = 0;
  std::uint64_t held = 0;
  std::uint64_t bound = 0;
  std::array<UserSnapshot, 5> largest;  // users who hold most
};

// What all users hold together, in bytes.
struct BufferSnapshot {
  std::uint64_t bound = 0;
  std::uint64_t held = 0;
  std::uint64_t expected = 0;  // of these, of answers that are on their way
  std::uint64_t calls = 0;     // of these, of calls
  std::uint64_t users_over_share = 0;
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

// What became of a reload that somebody asked for.
struct Reloaded {
  std::vector<std::string> mistakes;  // why nothing of it holds; empty: all of it does
  std::vector<std::string> problems;  // what is configured and is not so all the same
  std::vector<std::string> warnings;  // what is so, and probably not meant
};

// What a client was not told: see references.h.
struct ReferenceSnapshot {
  std::string reference;
  std::uint64_t uid = 0;
  std::string text;
  std::uint64_t times = 0;
  std::uint64_t age_ms = 0;  // of the last time
};

// Records about one user that were dropped, because the user's share of the disk was spent.
struct DroppedSnapshot {
  bool others = false;  // of all users beyond a bound together, who have no uid here
  std::uint64_t uid = 0;
  std::uint64_t log = 0;
  std::uint64_t audit = 0;
};

// Which configuration runs.
struct ConfigurationSnapshot {
  std::uint64_t read = 0;             // when, in seconds since 1970; 0: none holds
  bool other_on_disk = false;         // its files have changed since
  std::uint64_t reload_failed = 0;    // when the last reload did; 0: it did not
  std::vector<std::string> mistakes;  // why
};

struct Snapshot {
  static constexpr std::size_t kMostClients = 500;  // those with the most calls
  static constexpr std::size_t kMostUsers = 200;    // those with the most clients

  std::string version;
  std::uint64_t pid = 0;
  std::uint64_t started = 0;  // seconds since 1970
  std::uint64_t uptime_ms = 0;
  bool draining = false;
  std::vector<std::string> problems;  // what is configured and is not so; empty: all is well
  std::vector<std::string> warnings;  // what is so, and probably not meant
  ConfigurationSnapshot configuration;

  std::uint64_t client_count = 0;
  std::uint64_t user_count = 0;
  std::uint64_t accepted = 0;
  std::uint64_t turned_away = 0;
  std::uint64_t buffered = 0;
  BufferSnapshot buffer;
  std::uint64_t log_lost = 0;    // records that could not be written to the log
  std::uint64_t audit_lost = 0;  // and to the audit file
  std::vector<DroppedSnapshot> dropped;
  Traffic traffic;
  Refusals refusals;
  std::vector<TargetCounters> counters;

  std::vector<TargetSnapshot> targets;
  std::vector<UserSnapshot> users;
  std::vector<ClientSnapshot> clients;
  std::vector<ReferenceSnapshot> references;

  // Null when there are none of that name.
  [[nodiscard]] const TargetCounters* counters_of(const std::string& name) const;
};

// A snapshot in the making. It is taken in parts, since thousands of targets take long.
struct Survey {
  enum class Part : std::uint8_t { counters, targets, xends, rest };

  Snapshot found;
  Part part = Part::counters;
  std::string after;  // the name of what was taken last in this part
};

// What a target is called, wherever it is shown.
void describe_target(const conf::TargetConfig& target, const TargetCounters& counters,
                     TargetSnapshot& to);
// Of one that nobody has asked for yet.
TargetSnapshot idle_target(const conf::TargetConfig& target);
std::uint64_t milliseconds_since(tunnel::io::Milliseconds then, tunnel::io::Milliseconds now);
std::vector<FailureSnapshot> describe(const std::optional<UpstreamFailure>& failure,
                                      tunnel::io::Milliseconds now);

}  // namespace proxy
