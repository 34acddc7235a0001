#include "proxy/report/metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

namespace proxy {
namespace {

constexpr std::array<std::string_view, 3> kUpstreamStates = {"opening", "open", "closing"};

// What there is now of the targets that share one set of counters.
struct Present {
  std::uint64_t clients = 0;
  std::uint64_t waiting = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t overdue = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t silent = 0;
  std::uint64_t registrations = 0;
  std::uint64_t failing = 0;
  std::uint64_t silent_ms = 0;
  std::array<std::uint64_t, kUpstreamStates.size()> upstreams{};
};

std::map<std::string, Present> present(const Snapshot& snapshot) {
  std::map<std::string, Present> out;
  for (const TargetSnapshot& target : snapshot.targets) {
    Present& to = out[target.counted_as];
    to.clients += target.clients;
    to.waiting += target.waiting;
    to.in_flight += target.in_flight;
    to.overdue += target.overdue;
    to.abandoned += target.abandoned;
    to.silent += target.silent;
    to.registrations += target.registrations;
    if (target.state == "failing") ++to.failing;
    to.silent_ms = std::max(to.silent_ms, target.silent_ms);
    for (const UpstreamSnapshot& upstream : target.upstreams) {
      for (std::size_t i = 0; i < kUpstreamStates.size(); ++i) {
        if (upstream.state == kUpstreamStates[i]) ++to.upstreams[i];
      }
    }
  }
  return out;
}

template <typename Kind, std::size_t N>
void tally(Exposition& to, std::string_view target, std::string_view label,
           const Tally<Kind, N>& counts) {
  for (std::size_t i = 0; i < N; ++i) {
    to.sample({{"target", target}, {label, Tally<Kind, N>::names()[i]}}, counts.counts[i]);
  }
}

void add_gate(Exposition& to, const Snapshot& from) {
  to.info("virtgate_build", "The program that runs.");
  to.sample({{"version", from.version}}, 1);
  to.gauge("virtgate_start_time_seconds", "seconds", "When it started, since 1970.");
  to.sample({}, from.started);
  to.gauge("virtgate_draining", "", "1 while it ends.");
  to.sample({}, from.draining ? 1 : 0);
  to.gauge("virtgate_clients", "", "Clients that are connected.");
  to.sample({}, from.client_count);
  to.gauge("virtgate_users", "", "Users who have clients.");
  to.sample({}, from.user_count);
  to.gauge("virtgate_client_buffer_bytes", "bytes", "Answers and events that wait to be read.");
  to.sample({}, from.buffered);
  to.gauge("virtgate_buffer_held_bytes", "bytes",
           "What all clients hold: answers, those expected, and calls.");
  to.sample({}, from.buffer.held);
  to.gauge("virtgate_buffer_limit_bytes", "bytes", "What they may hold: buffer of [limits].");
  to.sample({}, from.buffer.bound);
  to.gauge("virtgate_buffer_users_over_share", "",
           "Users whose calls wait because they hold more than their share of it.");
  to.sample({}, from.buffer.users_over_share);
  to.gauge("virtgate_problems", "", "Parts of the configuration that are not in force.");
  to.sample({}, from.problems.size());
  to.gauge("virtgate_warnings", "", "Parts of the configuration that are probably not meant.");
  to.sample({}, from.warnings.size());
  to.gauge("virtgate_config_last_reload_successful", "",
           "1 when the last reload succeeded, or there was none.");
  to.sample({}, from.configuration.reload_failed == 0 ? 1 : 0);
  to.gauge("virtgate_config_last_reload_success_timestamp_seconds", "seconds",
           "When the running configuration was read.");
  to.sample({}, from.configuration.read);
  to.counter("virtgate_clients_accepted", "", "Clients that have come.");
  to.sample({}, from.accepted);
  to.counter("virtgate_clients_turned_away", "",
             "Clients turned away: one too many, or a socket that serves nobody.");
  to.sample({}, from.turned_away);
  to.counter("virtgate_client_receive_bytes", "bytes", "Bytes that came from clients.");
  to.sample({}, from.traffic.in);
  to.counter("virtgate_client_transmit_bytes", "bytes", "Bytes that went to clients.");
  to.sample({}, from.traffic.out);
  to.counter("virtgate_log_records_lost", "", "Records that could not be written to the log.");
  to.sample({}, from.log_lost);
  to.counter("virtgate_audit_records_lost", "",
             "Records that could not be written to the audit file.");
  to.sample({}, from.audit_lost);
  to.counter("virtgate_records_dropped", "",
             "Records about a user that were beyond the user's share of a disk.");
  const bool others =
      std::ranges::any_of(from.dropped, [](const DroppedSnapshot& one) { return one.others; });
  std::vector<DroppedSnapshot> dropped = from.dropped;
  if (!others) dropped.push_back({true, 0, 0, 0});
  for (const DroppedSnapshot& one : dropped) {
    const std::string uid = one.others ? "(other)" : std::to_string(one.uid);
    to.sample({{"uid", uid}, {"of", "log"}}, one.log);
    to.sample({{"uid", uid}, {"of", "audit"}}, one.audit);
  }
  to.counter("virtgate_refusals", "", "Calls that were refused, by reason.");
  for (std::size_t i = 0; i < from.refusals.counts.size(); ++i) {
    to.sample({{"reason", Refusals::names()[i]}}, from.refusals.counts[i]);
  }
}

void add_calls(Exposition& to, const Snapshot& from) {
  to.counter("virtgate_calls", "",
             "Calls of clients, by what they were: passed to the target, answered here, refused.");
  for (const TargetCounters& one : from.counters) tally(to, one.name, "verdict", one.calls);
  to.counter(
      "virtgate_calls_amended", "",
      "Calls that were changed to what a reader may ask, or answered as done without being sent.");
  for (const TargetCounters& one : from.counters) tally(to, one.name, "how", one.amended);
  to.counter("virtgate_replies", "", "How calls ended that were passed to the target.");
  for (const TargetCounters& one : from.counters) tally(to, one.name, "status", one.replies);
  to.counter("virtgate_events", "", "Events that were sent to clients.");
  for (const TargetCounters& one : from.counters) to.sample({{"target", one.name}}, one.events);
  to.counter("virtgate_calls_joined", "",
             "Calls that took the answer to the same call of another.");
  for (const TargetCounters& one : from.counters) to.sample({{"target", one.name}}, one.joined);
  to.histogram("virtgate_call_duration_seconds", "seconds",
               "From the arrival of a call that was passed to the target to its answer.");
  for (const TargetCounters& one : from.counters) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < Durations::kBounds.size(); ++i) {
      sum += one.durations.counts[i];
      to.sample({{"target", one.name}, {"le", shown_seconds(Durations::kBounds[i])}}, sum,
                "_bucket");
    }
    sum += one.durations.counts.back();
    to.sample({{"target", one.name}, {"le", "+Inf"}}, sum, "_bucket");
    to.sample({{"target", one.name}}, sum, "_count");
    to.milli_sample({{"target", one.name}}, one.durations.milliseconds, "_sum");
  }
}

void add_upstream_counts(Exposition& to, const Snapshot& from) {
  const auto each = [&](std::uint64_t TargetCounters::*field) {
    for (const TargetCounters& one : from.counters) to.sample({{"target", one.name}}, one.*field);
  };
  to.counter("virtgate_upstream_dials", "", "Attempts to open an upstream.");
  each(&TargetCounters::dials);
  to.counter("virtgate_upstreams_opened", "", "Upstreams that were opened.");
  each(&TargetCounters::opened);
  to.counter("virtgate_upstream_dial_failures", "", "Attempts that failed, by stage.");
  for (const TargetCounters& one : from.counters) tally(to, one.name, "stage", one.dial_failures);
  to.counter("virtgate_upstreams_lost", "", "Open upstreams that ended, by reason.");
  for (const TargetCounters& one : from.counters) tally(to, one.name, "reason", one.lost);
  to.counter("virtgate_upstream_breaches", "",
             "Upstream connections closed for protocol violations.");
  each(&TargetCounters::breaches);
  to.counter("virtgate_upstream_receive_bytes", "bytes", "Bytes that came from the daemon.");
  for (const TargetCounters& one : from.counters) to.sample({{"target", one.name}}, one.traffic.in);
  to.counter("virtgate_upstream_transmit_bytes", "bytes", "Bytes that went to the daemon.");
  for (const TargetCounters& one : from.counters) {
    to.sample({{"target", one.name}}, one.traffic.out);
  }
}

void add_targets(Exposition& to, const Snapshot& from) {
  const std::map<std::string, Present> targets = present(from);
  const auto each = [&](std::uint64_t Present::*field) {
    for (const auto& [name, one] : targets) to.sample({{"target", name}}, one.*field);
  };
  to.gauge("virtgate_target_clients", "", "Clients that have the target open.");
  each(&Present::clients);
  to.gauge("virtgate_target_failing", "", "1 when the last attempt to reach the target failed.");
  each(&Present::failing);
  to.gauge("virtgate_target_silent_seconds", "seconds",
           "How long a daemon that is connected has answered nothing, no ping either; else 0.");
  for (const auto& [name, one] : targets) to.milli_sample({{"target", name}}, one.silent_ms);
  to.gauge("virtgate_calls_waiting", "", "Calls that wait for a place at the daemon.");
  each(&Present::waiting);
  to.gauge("virtgate_calls_in_flight", "", "Calls at the daemon.");
  each(&Present::in_flight);
  to.gauge("virtgate_calls_overdue", "",
           "Calls at the daemon for much longer than their kind takes.");
  each(&Present::overdue);
  to.gauge("virtgate_calls_abandoned", "", "Calls at the daemon that nobody waits for any more.");
  each(&Present::abandoned);
  to.gauge("virtgate_subjects_silent", "",
           "Machines and other objects that have not answered in time, and not since.");
  each(&Present::silent);
  to.gauge("virtgate_event_registrations", "", "Registrations for events at the daemon.");
  each(&Present::registrations);
  to.gauge("virtgate_upstreams", "", "Connections to the daemon, by state.");
  for (const auto& [name, one] : targets) {
    for (std::size_t i = 0; i < kUpstreamStates.size(); ++i) {
      to.sample({{"target", name}, {"state", kUpstreamStates[i]}}, one.upstreams[i]);
    }
  }
}

}  // namespace

std::string metrics_text(const Snapshot& snapshot, MetricsFormat format) {
  Exposition text(format);
  add_gate(text, snapshot);
  add_targets(text, snapshot);
  add_calls(text, snapshot);
  add_upstream_counts(text, snapshot);
  return text.finish();
}

}  // namespace proxy
