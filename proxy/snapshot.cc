#include "proxy/snapshot.h"

#include <algorithm>

#include "proxy/gate.h"

namespace proxy {

using tunnel::io::Milliseconds;

namespace {

void describe_target(const conf::Target& target, const TargetCounters& counters,
                     TargetSnapshot& to) {
  to.name = target.name;
  to.uri = target.uri;
  to.transport = tunnel::transport_name(target.tunnel.transport);
  to.counted_as = counters.name;
}

// The first `most` in an order; what is behind them is left out.
template <typename Item, typename Before>
void keep_first(std::vector<Item>& items, std::size_t most, Before before) {
  const auto end = items.begin() + static_cast<std::ptrdiff_t>(std::min(most, items.size()));
  std::partial_sort(items.begin(), end, items.end(), before);
  items.erase(end, items.end());
}

}  // namespace

std::uint64_t milliseconds_since(Milliseconds then, Milliseconds now) {
  return static_cast<std::uint64_t>(std::max(Milliseconds(0), now - then).count());
}

std::vector<FailureSnapshot> describe(const std::optional<UpstreamFailure>& failure,
                                      Milliseconds now) {
  if (!failure) return {};
  return {{std::string(tunnel::io::stage_name(failure->stage)), failure->text,
           milliseconds_since(failure->at, now)}};
}

const TargetCounters* Snapshot::counters_of(const std::string& name) const {
  const auto found = std::find_if(counters.begin(), counters.end(),
                                  [&](const TargetCounters& one) { return one.name == name; });
  return found == counters.end() ? nullptr : &*found;
}

TargetSnapshot Pool::snapshot() const {
  TargetSnapshot out;
  describe_target(target_, counters_, out);
  for (const auto& lanes : lanes_) out.clients += lanes.size();
  out.waiting = waiting_;
  out.registrations = events_.registrations();
  bool opening = false;
  for (const auto& upstream : upstreams_) {
    const bool connecting = upstream->connecting();
    opening = opening || connecting;
    out.in_flight += upstream->in_flight();
    out.upstreams.push_back({upstream->ready() ? "open" : (connecting ? "opening" : "closing"),
                             std::string(tunnel::io::stage_name(upstream->stage())),
                             upstream->in_flight()});
  }
  out.last_failure = describe(last_failure_, clock_.now());
  if (ready_upstreams() > 0) {
    out.state = "open";
  } else if (failures_ > 0 || retry_.running()) {
    out.state = "failing";
  } else {
    out.state = opening ? "opening" : "idle";
  }
  return out;
}

TargetSnapshot XendPool::snapshot() const {
  TargetSnapshot out;
  describe_target(target_, counters_, out);
  out.clients = waiting_.size() + running_.size();
  out.waiting = waiting_.size();
  out.in_flight = running_.size();
  for (std::size_t i = 0; i < running_.size(); ++i) {
    out.upstreams.push_back({"open", std::string(stage_name(tunnel::io::Stage::established)), 1});
  }
  out.last_failure = describe(last_failure_, clock_.now());
  out.state = last_failure_ ? "failing" : (running_.empty() ? "idle" : "open");
  return out;
}

ClientSnapshot XendSession::snapshot() const {
  static constexpr std::array<std::string_view, 3> kStates = {"greeting", "open", "leaving"};
  ClientSnapshot out;
  out.number = static_cast<std::uint64_t>(number_);
  out.uid = peer_.uid;
  out.pid = static_cast<std::uint64_t>(peer_.pid);
  out.target = pool_->target().name;
  out.state = kStates[static_cast<std::size_t>(state_)];
  out.calls = state_ == State::reading ? 0 : 1;
  out.outstanding = state_ == State::asking ? 1 : 0;
  out.buffered = counted_;
  out.bytes_in = traffic_.in;
  out.bytes_out = traffic_.out;
  out.age_ms = milliseconds_since(began_, place_.clock.now());
  return out;
}

void Gate::describe_users(Snapshot& to) const {
  for (const auto& [uid, user] : users_.all()) {
    to.users.push_back({uid, user.clients, user.buffered});
    to.buffered += user.buffered;
  }
  to.user_count = to.users.size();
  keep_first(to.users, Snapshot::kMostUsers, [](const UserSnapshot& a, const UserSnapshot& b) {
    return a.clients != b.clients ? a.clients > b.clients : a.uid < b.uid;
  });
}

void Gate::describe_clients(Snapshot& to) const {
  std::vector<const Client*> busiest;
  busiest.reserve(clients_.size());
  for (const auto& [number, client] : clients_) busiest.push_back(client.get());
  keep_first(busiest, Snapshot::kMostClients, [](const Client* a, const Client* b) {
    return a->calls() != b->calls() ? a->calls() > b->calls() : a->number() < b->number();
  });
  for (const Client* client : busiest) to.clients.push_back(client->snapshot());
  for (const auto& [number, session] : sessions_) {
    if (to.clients.size() >= Snapshot::kMostClients) return;
    to.clients.push_back(session->snapshot());
  }
}

Snapshot Gate::snapshot() const {
  Snapshot out;
  out.version = VIRTGATE_VERSION;
  out.uptime_ms = milliseconds_since(began_, clock_.now());
  out.draining = draining_;
  out.client_count = clients();
  out.accepted = counters_.accepted;
  out.turned_away = counters_.turned_away;
  out.traffic = counters_.traffic;
  out.refusals = counters_.refusals;
  for (const auto& [name, counters] : counters_.targets()) out.counters.push_back(counters);
  pools_.describe(out.targets);
  for (const auto& [name, xend] : xends_) out.targets.push_back(xend->snapshot());
  describe_users(out);
  describe_clients(out);
  return out;
}

}  // namespace proxy
