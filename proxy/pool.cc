#include "proxy/pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;
using policy::Frame;
using tunnel::io::Reason;
using Place = Lane::Place;

namespace {

constexpr std::uint8_t kMostLosses = 3;
constexpr Milliseconds kFirstRetry{50};
constexpr Milliseconds kLongestRetry{2000};
constexpr Milliseconds kLongestRetryWhenRefused{30000};
constexpr Milliseconds kNoGrowth{5000};
constexpr Milliseconds kShortLife{5000};
constexpr Milliseconds kRelapseForgotten{10000};
constexpr Milliseconds kSweep{250};
constexpr Milliseconds kIdleSweep{5000};
constexpr Milliseconds kSpareIdle{30000};

}  // namespace

Pool::Pool(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Target target,
           const conf::Limits& limits, std::unique_ptr<tunnel::Tunnel> tunnel,
           TargetCounters& counters)
    : clock_(clock),
      log_(log),
      sasl_(sasl),
      target_(std::move(target)),
      limits_(limits),
      tunnel_(std::move(tunnel)),
      counters_(counters),
      events_(*this),
      retry_(clock, [this] { reach(); }),
      refuse_(clock, [this] { give_up(last_fault_); }),
      sweep_(clock, [this] { sweep(); }),
      idle_(clock, [this] { let_idle_go(); }),
      old_(clock, [this] { old_tunnels_.clear(); }) {}

Pool::~Pool() { CHECK(upstreams_.empty()); }

std::list<Lane*>& Pool::list(Place place) {
  CHECK(place != Place::detached);
  return lanes_[static_cast<std::size_t>(place)];
}

void Pool::move(Lane& lane, Place place) {
  if (lane.place == place) return;
  auto& to = list(place);
  to.splice(to.end(), list(lane.place), lane.node);
  lane.place = place;
}

// Puts a lane where its calls say that it belongs; what is parked stays so until it wakes.
void Pool::settle(Lane& lane) {
  if (lane.place == Place::parked || lane.place == Place::opening) return;
  if (lane.waiting.empty()) return move(lane, Place::idle);
  const std::uint32_t most =
      lane.most_in_flight == 0 ? most_in_flight() : std::min(lane.most_in_flight, most_in_flight());
  move(lane, lane.in_flight >= most ? Place::full : Place::queued);
}

bool Pool::attach(Lane& lane) {
  CHECK(lane.place == Place::detached);
  auto& to = list(Place::idle);
  lane.node = to.insert(to.end(), &lane);
  lane.place = Place::idle;
  if (ready_upstreams() > 0) return true;
  move(lane, Place::opening);
  reach();
  return false;
}

void Pool::submit(Lane& lane, Call call) {
  CHECK(lane.place != Place::detached && lane.place != Place::opening);
  call.lane = &lane;
  call.deadline = deadline();
  lane.waiting.push_back(std::move(call));
  ++waiting_;
  settle(lane);
  if (!sweep_.running()) sweep_.start(kSweep);
  dispatch();
}

void Pool::wake(Lane& lane) {
  if (lane.place != Place::parked) return;
  move(lane, Place::idle);
  settle(lane);
  dispatch();
}

void Pool::leave(Lane& lane) {
  if (lane.place == Place::detached) return;
  events_.leave(lane);
  list(lane.place).erase(lane.node);
  lane.place = Place::detached;
  waiting_ -= lane.waiting.size();
  lane.waiting.clear();
  lane.in_flight = 0;
  unused_since_ = clock_.now();
  for (const auto& upstream : upstreams_) {
    for (Call& call : upstream->calls()) {
      if (call.lane == &lane) call.lane = nullptr;
    }
  }
}

std::size_t Pool::ready_upstreams() const {
  return static_cast<std::size_t>(std::count_if(upstreams_.begin(), upstreams_.end(),
                                                [](const auto& u) { return u->ready(); }));
}

std::uint32_t Pool::most_in_flight() const {
  return std::max(1U, target_.upstreams * static_cast<std::uint32_t>(Upstream::kSlots) / 4);
}

bool Pool::wanted() const {
  return waiting_ > 0 || !events_.empty() ||
         !lanes_[static_cast<std::size_t>(Place::opening)].empty();
}

Upstream* Pool::roomiest() {
  Upstream* best = nullptr;
  for (const auto& upstream : upstreams_) {
    if (!upstream->has_room()) continue;
    if (best == nullptr || upstream->in_flight() < best->in_flight()) best = upstream.get();
  }
  return best;
}

Upstream* Pool::event_upstream() {
  if (event_upstream_ == nullptr) {
    for (const auto& upstream : upstreams_) {
      if (upstream->ready() && event_upstream_ == nullptr) event_upstream_ = upstream.get();
    }
  }
  return event_upstream_;
}

void Pool::dispatch() {
  while (!events_.empty() && event_upstream() != nullptr && event_upstream_->has_room()) {
    Calls call = events_.next();
    if (call.empty()) break;
    call.front().deadline = deadline();
    event_upstream_->send(call);
  }
  auto& ring = list(Place::queued);
  Upstream* upstream = nullptr;
  while (!ring.empty() && (upstream = roomiest()) != nullptr) {
    Lane& lane = *ring.front();
    if (!lane.user.can_take_reply()) {
      move(lane, Place::parked);
      continue;
    }
    upstream->send(lane.waiting);
    --waiting_;
    ++lane.in_flight;
    ring.splice(ring.end(), ring, lane.node);
    settle(lane);
  }
  if (wanted() && (ready_upstreams() == 0 || (!ring.empty() && waiting_ >= Upstream::kSlots)))
    reach();
}

// Brings about one more upstream if there may be one; at most one at a time.
void Pool::reach() {
  if (closed_ || !wanted()) return;
  std::size_t living = 0;
  for (const auto& upstream : upstreams_) {
    if (upstream->connecting()) return;
    if (upstream->ready()) ++living;
  }
  if (living > 0) {
    if (living < target_.upstreams && clock_.now() >= no_growth_until_) dial();
  } else if (!retry_.running()) {
    dial();
  } else if (refused_ && !refuse_.running()) {
    refuse_.start(Milliseconds(0));
  }
}

void Pool::dial() {
  UpstreamSettings settings = upstream_settings(target_);
  settings.keepalive_interval = limits_.keepalive_interval;
  settings.keepalive_count = limits_.keepalive_count;
  settings.max_message = limits_.max_message;
  settings.traffic = &counters_.traffic;
  ++counters_.dials;
  UpstreamOwner& owner = *this;
  upstreams_.push_back(
      std::make_unique<Upstream>(clock_, sasl_, owner, tunnel_->stream(), std::move(settings)));
  upstreams_.back()->start();
}

void Pool::on_upstream_ready(Upstream&) {
  log_.line(Level::info, "upstream-open")
      .with("target", target_.name)
      .with("upstreams", static_cast<std::int64_t>(ready_upstreams()));
  ++counters_.opened;
  failures_ = 0;
  refused_ = false;
  retry_.stop();
  refuse_.stop();
  if (!idle_.running()) idle_.start(kIdleSweep);
  auto& openers = list(Place::opening);
  while (!openers.empty()) {
    Lane& lane = *openers.front();
    move(lane, Place::idle);
    lane.user.on_target_ready();
  }
  dispatch();
}

void Pool::finished(Lane& lane) {
  --lane.in_flight;
  settle(lane);
}

void Pool::on_upstream_reply(Upstream& upstream, Calls answered, const Frame& reply) {
  const Call& call = answered.front();
  if (call.lane != nullptr) {
    Lane& lane = *call.lane;
    finished(lane);
    lane.user.on_reply(call, static_cast<policy::Status>(reply.header.status), reply.body);
  } else if (!upstream.finishing() && !events_.on_reply(call, reply)) {
    return upstream.close({Reason::Kind::protocol, tunnel::io::Stage::established,
                           "the daemon answered a registration with a callback id that is none, or "
                           "that it has given already"});
  }
  upstream.retire_if_finished();
  dispatch();
}

void Pool::on_upstream_event(Upstream& upstream, const Frame& event) {
  if (upstream.finishing()) return;
  if (&upstream == event_upstream_ && events_.on_event(event)) return;
  upstream.close({Reason::Kind::protocol, tunnel::io::Stage::established,
                  "the daemon sent an event that was not asked for, or is malformed"});
}

void Pool::on_events_pending() {
  if (!sweep_.running()) sweep_.start(kSweep);
  dispatch();
}

void Pool::on_upstream_closed(Upstream& upstream, const Fault& fault, const Reason& reason) {
  const bool was_open = upstream.was_ready();
  const Milliseconds ready_since = upstream.ready_since();
  Calls calls = upstream.take_in_flight();
  if (event_upstream_ == &upstream) {
    event_upstream_ = nullptr;
    events_.upstream_lost();
  }
  std::erase_if(upstreams_, [&](const auto& u) { return u.get() == &upstream; });
  counters_.ended(was_open, reason);
  if (reason.kind != Reason::Kind::requested) {
    log_.line(Level::warning, was_open ? "upstream-lost" : "upstream-failed")
        .with("target", target_.name)
        .with("reason", fault.text)
        .with("in_flight", static_cast<std::int64_t>(calls.size()));
    last_failure_ = UpstreamFailure{reason.stage, reason.text, clock_.now()};
    last_fault_ = fault;
    last_fault_.text = "target '" + target_.name + "': " + fault.text;
    if (was_open) {
      patience_end_ = clock_.now() + target_.retry_timeout;
      if (reason.kind == Reason::Kind::protocol || clock_.now() - ready_since < kShortLife) {
        slow_down(ready_since);
      }
    } else if (std::ranges::any_of(upstreams_, [](const auto& u) { return u->was_ready(); })) {
      // One that is being lost at the same time counts: with its end patience begins.
      no_growth_until_ = clock_.now() + kNoGrowth;
    } else {
      retry_later(reason);
    }
  }
  retake(std::move(calls), last_fault_);
  let_old_tunnels_go();
  if (closed_ && upstreams_.empty()) return std::exchange(closed_, nullptr)();
  dispatch();
}

// A daemon that lets us in only to break the rules or to hang up would be dialled as fast as it
// does so. The first time is free, for a daemon that was started again.
void Pool::slow_down(Milliseconds ready_since) {
  // Upstreams that a daemon takes along when it ends are one loss.
  if (ready_since < relapses_until_ - kRelapseForgotten) return;
  relapses_ = clock_.now() < relapses_until_ ? relapses_ + 1 : 0;
  relapses_until_ = clock_.now() + kRelapseForgotten;
  if (relapses_ == 0) return;
  const Milliseconds wait = std::min(kLongestRetry, kFirstRetry * (1U << std::min(relapses_, 10U)));
  no_growth_until_ = clock_.now() + wait;
  retry_.start(wait);
}

void Pool::retry_later(const Reason& reason) {
  refused_ = reason.kind == Reason::Kind::refused;
  const Milliseconds longest = refused_ ? kLongestRetryWhenRefused : kLongestRetry;
  const Milliseconds first = refused_ ? 20 * kFirstRetry : kFirstRetry;
  retry_.start(std::min(longest, first * (1U << std::min(failures_, 10U))));
  ++failures_;
  if (refused_ || clock_.now() >= patience_end_) give_up(last_fault_);
}

// Calls of a lost upstream go to the head of their lanes, in the order in which they were sent.
void Pool::retake(Calls calls, const Fault& fault) {
  while (!calls.empty()) {
    Call& call = calls.back();
    Lane* lane = call.lane;
    if (lane == nullptr) {
      calls.pop_back();
      continue;
    }
    if (++call.losses < kMostLosses) {
      lane->waiting.splice(lane->waiting.begin(), calls, std::prev(calls.end()));
      ++waiting_;
      finished(*lane);
      continue;
    }
    Calls failed;
    failed.splice(failed.begin(), calls, std::prev(calls.end()));
    finished(*lane);
    Fault told = fault;
    told.text +=
        "; the connection was lost " + std::to_string(kMostLosses) + " times with this call on it";
    lane->user.on_call_failed(failed.front(), told);
  }
}

void Pool::give_up(const Fault& fault) {
  const std::list<Lane*> openers = std::exchange(list(Place::opening), {});
  for (Lane* lane : openers) lane->place = Place::detached;
  Calls failed;
  for (const Place place : {Place::queued, Place::parked, Place::full}) {
    auto& lanes = list(place);
    while (!lanes.empty()) {
      Lane& lane = *lanes.front();
      failed.splice(failed.end(), lane.waiting);
      move(lane, Place::idle);
    }
  }
  waiting_ = 0;
  for (Lane* lane : openers) lane->user.on_target_failed(fault);
  for (const Call& call : failed) call.lane->user.on_call_failed(call, fault);
  events_.give_up(fault);
}

Fault Pool::timeout_fault() const {
  Fault fault = ready_upstreams() == 0 ? last_fault_ : Fault{};
  fault.code = ErrorCode::operation_timeout;
  fault.domain = ErrorDomain::rpc;
  const std::string limit =
      "no answer within " + std::to_string(target_.call_timeout.count()) + " ms";
  fault.text = fault.text.empty() ? "target '" + target_.name + "': call: " + limit
                                  : fault.text + " (" + limit + ")";
  return fault;
}

void Pool::expire_waiting(Place place) {
  Calls late;
  auto& lanes = list(place);
  for (auto it = lanes.begin(); it != lanes.end();) {
    Lane& lane = **it++;
    while (!lane.waiting.empty() && lane.waiting.front().deadline <= clock_.now()) {
      late.splice(late.end(), lane.waiting, lane.waiting.begin());
      --waiting_;
    }
    if (lane.waiting.empty()) move(lane, Place::idle);
  }
  const Fault fault = timeout_fault();
  for (const Call& call : late) call.lane->user.on_call_failed(call, fault);
}

// The daemon still works on a call that nobody waits for any more, so its slot stays taken. An
// upstream with nothing but such calls is of no use, and going is the only way to tell the daemon
// so.
void Pool::expire_in_flight(Upstream& upstream) {
  std::size_t abandoned = 0;
  std::vector<Call> late;
  for (Call& call : upstream.calls()) {
    if (call.deadline > clock_.now()) continue;
    ++abandoned;
    if (call.lane == nullptr) continue;
    late.push_back(call);
    call.lane = nullptr;
  }
  const Fault fault = timeout_fault();
  for (const Call& call : late) {
    finished(*call.lane);
    call.lane->user.on_call_failed(call, fault);
  }
  const bool useless = upstream.finishing() && abandoned == upstream.in_flight();
  if (abandoned == Upstream::kSlots || (abandoned > 0 && useless)) {
    upstream.close({Reason::Kind::timeout, tunnel::io::Stage::established,
                    "the daemon left " + std::to_string(abandoned) + " calls unanswered"});
  }
}

void Pool::sweep() {
  for (const Place place : {Place::queued, Place::parked, Place::full}) expire_waiting(place);
  std::size_t in_flight = 0;
  for (const auto& upstream : upstreams_) {
    expire_in_flight(*upstream);
    in_flight += upstream->in_flight();
  }
  events_.expire(clock_.now(), timeout_fault());
  dispatch();
  if (waiting_ + in_flight > 0 || events_.waiting()) sweep_.start(kSweep);
}

bool Pool::used() const {
  return std::ranges::any_of(lanes_, [](const auto& lanes) { return !lanes.empty(); });
}

std::set<uid_t> Pool::uids() const {
  std::set<uid_t> out;
  for (const auto& lanes : lanes_) {
    for (const Lane* lane : lanes) out.insert(lane->uid);
  }
  return out;
}

void Pool::let_idle_go() {
  const bool used = this->used();
  std::size_t ready = ready_upstreams();
  for (const auto& upstream : upstreams_) {
    const bool needed =
        upstream->in_flight() > 0 || (upstream.get() == event_upstream_ && !events_.empty());
    if (!upstream->ready() || needed || (ready == 1 && used)) continue;
    const bool spare = ready > 1;
    const Milliseconds since =
        spare ? upstream->last_used() : std::max(upstream->last_used(), unused_since_);
    if (clock_.now() - since < (spare ? kSpareIdle : target_.idle_timeout)) continue;
    if (upstream.get() == event_upstream_) event_upstream_ = nullptr;
    upstream->retire();
    --ready;
  }
  if (!upstreams_.empty()) idle_.start(kIdleSweep);
}

void Pool::retarget(conf::Target target, std::unique_ptr<tunnel::Tunnel> tunnel) {
  target_ = std::move(target);
  old_tunnels_.push_back(std::exchange(tunnel_, std::move(tunnel)));
  if (std::exchange(event_upstream_, nullptr) != nullptr) events_.upstream_lost();
  retry_.stop();
  refuse_.stop();
  failures_ = 0;
  relapses_ = 0;
  refused_ = false;
  no_growth_until_ = Milliseconds(0);
  patience_end_ = clock_.now() + target_.retry_timeout;
  for (const auto& upstream : upstreams_) upstream->finish();
  let_old_tunnels_go();
  reach();
  dispatch();
}

// Not at once: this may be in a call of a stream of theirs.
void Pool::let_old_tunnels_go() {
  if (old_tunnels_.empty()) return;
  if (std::ranges::none_of(upstreams_, [](const auto& u) { return u->finishing(); })) {
    old_.start(Milliseconds(0));
  }
}

void Pool::close(std::function<void()> closed) {
  retry_.stop();
  refuse_.stop();
  sweep_.stop();
  idle_.stop();
  closed_ = std::move(closed);
  if (upstreams_.empty()) return std::exchange(closed_, nullptr)();
  for (const auto& upstream : upstreams_) upstream->retire();
}

}  // namespace proxy
