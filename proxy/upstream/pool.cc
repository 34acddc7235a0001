#include "proxy/upstream/pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "policy/procedures.h"
#include "proxy/upstream/late.h"
#include "proxy/upstream/trouble.h"
#include "proxy/visitor/told.h"

namespace proxy {

using policy::Fault;
using policy::Frame;
using tunnel::io::Reason;

namespace {

constexpr std::uint8_t kMostLosses = 2;
constexpr Milliseconds kTogether{1000};  // upstreams lost within it are one loss for a call
constexpr Milliseconds kNoGrowth{5000};
constexpr Milliseconds kShortLife{5000};
constexpr Milliseconds kLongestWait{20000};  // for a turn to dial
constexpr Milliseconds kSweep{250};
constexpr Milliseconds kIdleSweep{5000};
constexpr Milliseconds kSpareIdle{30000};
constexpr Milliseconds kWatch{100};
// What is heard so long after a call was sent shows that the connection carried it.
constexpr Milliseconds kHeardBeside{500};
constexpr Milliseconds kOld{250};  // calls of that age are kept away from quick ones
// An upstream that was replaced waits so long for answers that nobody else waits for, unless places
// are lacking. Ending it frees no worker of the daemon, so only so many such calls are left to it
// until their subjects answer again, the target leads elsewhere, or GivenUp forgets them.
constexpr Milliseconds kReplacedEnds{60000};
constexpr std::size_t kMostGivenUp = 4;
// Calls that are ended in one turn, and the time that this may take.
constexpr std::size_t kEndsOfTurn = 128;
constexpr tunnel::io::Microseconds kEndsTime{2000};
constexpr Milliseconds kSilenceForgotten{600000};

}  // namespace

Pool::Pool(tunnel::io::Clock& clock, Log& log, Sasl& sasl, Pacer& pacer, Slabs& slabs,
           conf::TargetConfig target, const conf::Limits& limits,
           std::unique_ptr<tunnel::Tunnel> tunnel, std::shared_ptr<TargetCounters> counters)
    : clock_(clock),
      log_(log),
      sasl_(sasl),
      slabs_(slabs),
      target_(std::move(target)),
      limits_(limits),
      tunnel_(std::move(tunnel)),
      counters_(std::move(counters)),
      silence_(clock, log, target_),
      events_(*this),
      retry_(clock, [this] { reach(); }),
      refuse_(clock, [this] { give_up(last_fault_); }),
      sweep_(clock, [this] { sweep(); }),
      rest_(clock, [this] { catch_up(); }),
      watch_(clock, [this] { watch(); }),
      idle_(clock, [this] { let_idle_go(); }),
      old_(clock, [this] { old_tunnels_.clear(); }),
      retries_(target_.name),
      turn_(pacer, clock, [this] {
        const bool needed = !closed_ && (wanted() || ready_upstreams() > 0);
        return needed ? dial_now() : turn_.end();
      }) {}

Pool::~Pool() { CHECK(upstreams_.empty()); }

bool Pool::attach(Lane& lane) {
  CHECK(lane.state == Lane::State::detached);
  if (ready_upstreams() > 0) {
    queue_.attach(lane, Lane::State::open);
    return true;
  }
  queue_.attach(lane, Lane::State::opening);
  lane.opener = openers_.insert(openers_.end(), Opener{&lane, nullptr});
  reach();
  return false;
}

void Pool::submit(Lane& lane, Call call) {
  CHECK(lane.state != Lane::State::detached && lane.state != Lane::State::opening);
  call.lane = &lane;
  call.deadline = deadline();
  names_.resolve(call);
  if (target_.stats_nowait) nowait_.add(call);
  if (const Topic* topic = queue_.find(call.subject); topic != nullptr && topic->silent > 0) {
    const Queue::Way way = queue_.way_of(*topic, call, clock_.now());
    if (way == Queue::Way::none)
      return lane.user.on_call_failed(call, silence_fault(target_, *topic, clock_.now()));
    call.probe = way == Queue::Way::probe;
    if (way != Queue::Way::free) {
      call.deadline =
          std::min(call.deadline, clock_.now() + patience(call, Estimates::kSoonestOverdue));
    }
  }
  if (answer_at_once(lane, call)) return;
  queue_.push(std::move(call));
  if (!sweep_.running()) sweep_.start(kSweep);
  dispatch();
}

// From what somebody else was told a moment ago. Whoever has calls under way gets their answers in
// their order.
bool Pool::answer_at_once(Lane& lane, const Call& call) {
  if (target_.max_age.count() == 0 || call.probe) return false;
  if (lane.state != Lane::State::open || lane.in_flight > 0 || !lane.lines.empty()) return false;
  if (!lane.user.can_take_reply()) return false;
  const Recent::Answer* answer = recent_.take(call, lane, clock_.now() - target_.max_age);
  if (answer == nullptr) return false;
  ++counters_->joined;
  lane.user.on_reply(call, policy::Status::ok, answer->body, {});
  return true;
}

void Pool::wake(Lane& lane) {
  if (lane.state != Lane::State::parked) return;
  queue_.wake(lane);
  dispatch();
}

void Pool::leave(Lane& lane) {
  if (lane.state == Lane::State::detached) return;
  events_.leave(lane);
  if (lane.state == Lane::State::opening) openers_.erase(lane.opener);
  for (const auto& upstream : upstreams_) {
    for (Call& call : upstream->calls()) {
      if (call.lane == &lane) call.lane = nullptr;
      std::erase_if(call.joined, [&](const Call& one) { return one.lane == &lane; });
    }
  }
  queue_.detach(lane);
  unused_since_ = clock_.now();
}

std::size_t Pool::ready_upstreams() const {
  return static_cast<std::size_t>(std::count_if(upstreams_.begin(), upstreams_.end(),
                                                [](const auto& u) { return u->ready(); }));
}

bool Pool::wanted() const {
  return queue_.waiting() > 0 || !events_.empty() ||
         (!openers_.empty() && openers_.back().why == nullptr);
}

bool Pool::has_room() const {
  return std::ranges::any_of(upstreams_, [this](const auto& one) { return takes(*one); });
}

// Something would be sent if there were one more upstream.
bool Pool::lacks_place() const {
  return has_room() ? queue_.lean() && !places().proven : queue_.hungry();
}

// Quick calls go where nothing old is, and the others leave such an upstream to them.
Upstream* Pool::choose(const Call& call) {
  const bool quick = estimates_.usual(call) < kOld && call.topic->answers(*call.kind);
  Upstream* best = nullptr;
  std::pair<bool, std::size_t> best_rank;
  for (const auto& upstream : upstreams_) {
    if (!takes(*upstream) || (call.suspect && !upstream->proven_since(lost_))) continue;
    const std::pair rank{upstream->has_older_than(kOld) == quick, upstream->in_flight()};
    if (best != nullptr && rank >= best_rank) continue;
    best = upstream.get();
    best_rank = rank;
  }
  return best;
}

std::size_t Pool::overdue_at(bool replaced) const {
  std::size_t sum = 0;
  for (const auto& upstream : upstreams_) {
    if (upstream->replaced_since().has_value() != replaced) continue;
    sum += static_cast<std::size_t>(
        std::ranges::count_if(upstream->calls(), [](const Call& call) { return call.overdue; }));
  }
  return sum;
}

// The places of what is overdue count no longer, up to a number.
Queue::Places Pool::places() const {
  const std::size_t most = target_.upstreams * silence_.calls_at_once();
  std::size_t taken = 0;
  bool proven = false;
  for (const auto& upstream : upstreams_) {
    if (upstream->ready()) taken += upstream->in_flight();
    proven = proven || (takes(*upstream) && upstream->proven_since(lost_));
  }
  taken -= std::min<std::size_t>({taken, overdue_at(false), target_.overdue_calls});
  return {ready_upstreams() * silence_.calls_at_once(), most, most - std::min(most, taken), proven};
}

std::size_t Pool::allowed_upstreams() const {
  const std::size_t held = std::min<std::size_t>(overdue_at(false), target_.overdue_calls);
  const std::size_t more = (held + silence_.calls_at_once() - 1) / silence_.calls_at_once();
  return target_.upstreams + std::min<std::size_t>(target_.spare, more);
}

Upstream* Pool::event_upstream() {
  if (event_upstream_ == nullptr) {
    for (const auto& upstream : upstreams_) {
      const bool better = event_upstream_ == nullptr || silence_.is_silent(*event_upstream_);
      if (upstream->ready() && better) event_upstream_ = upstream.get();
    }
  }
  return event_upstream_;
}

void Pool::dispatch() {
  while (!events_.empty() && event_upstream() != nullptr && takes(*event_upstream_)) {
    Calls call = events_.next();
    if (call.empty()) break;
    call.front().deadline = deadline();
    event_upstream_->send(call);
  }
  limit_queue();
  while (has_room()) {
    Calls call = queue_.next(places());
    if (call.empty()) break;
    counters_->joined += call.front().joined.size();
    Upstream* upstream = choose(call.front());
    CHECK(upstream != nullptr);
    upstream->send(call);
    if (!watch_.running()) watch_.start(kWatch);
  }
  if (wanted() && (ready_upstreams() == 0 || lacks_place())) reach();
}

void Pool::limit_queue() {
  queue_.set_limits({.of_subject = target_.calls_per_subject,
                     .of_lane = std::max(1U, target_.upstreams),
                     .most_overdue = target_.overdue_calls,
                     .given_up = given_up_.count(),
                     .may_be_restarted = given_up_.lost() > 0,
                     .now = clock_.now()});
}

// Brings about one more upstream if there may be one; at most one at a time.
void Pool::reach(bool ahead) {
  if (closed_ || turn_.waiting() || (!ahead && !wanted())) return;
  std::size_t living = 0;
  std::size_t silent = 0;
  std::size_t replaced = 0;
  for (const auto& upstream : upstreams_) {
    if (upstream->connecting()) return;
    if (upstream->ready()) ++(silence_.is_silent(*upstream) ? silent : living);
    if (upstream->replaced_since()) ++replaced;
  }
  if (living + silent > 0) {
    // One that finds out whether the daemon is there.
    const std::uint32_t spare = living == 0 ? std::max(1U, target_.spare) : target_.spare;
    const bool may = living < allowed_upstreams() &&
                     living + silent + replaced < std::size_t{target_.upstreams} + spare;
    if (may && clock_.now() >= no_growth_until_) dial();
  } else if (!retry_.running()) {
    dial();
  } else if (retries_.refused() && !refuse_.running()) {
    refuse_.start(Milliseconds(0));
  }
}

void Pool::dial() {
  const Milliseconds patience = std::min(kLongestWait, limits_.open_timeout * 2 / 3);
  if (turn_.ask(target_.tunnel, patience)) dial_now();
}

void Pool::dial_now() {
  UpstreamSettings settings = upstream_settings(target_);
  settings.max_message = limits_.max_message;
  settings.traffic = &counters_->traffic;
  settings.slabs = &slabs_;
  ++counters_->dials;
  dialled_in_silence_ =
      std::ranges::any_of(upstreams_, [this](const auto& one) { return silence_.is_silent(*one); });
  if (dialled_in_silence_) tunnel_->avoid_silent(silence_.quiet_time());
  UpstreamOwner& owner = *this;
  upstreams_.push_back(
      std::make_unique<Upstream>(clock_, sasl_, owner, tunnel_->stream(), std::move(settings)));
  dialled_ = upstreams_.back().get();
  dialled_->start();
}

void Pool::let_next_dial(const Upstream& upstream) {
  if (dialled_ != &upstream) return;
  dialled_ = nullptr;
  turn_.end();
}

void Pool::on_upstream_ready(Upstream& upstream) {
  let_next_dial(upstream);
  log_.line(Level::info, "upstream-open")
      .with("target", target_.name)
      .with("upstreams", static_cast<std::int64_t>(ready_upstreams()));
  ++counters_->opened;
  limit_queue();
  if (upstreams_.size() == 1 && retries_.failures() > 0) queue_.expect_restarted();
  retries_.opened();
  retry_.stop();
  refuse_.stop();
  if (!idle_.running()) idle_.start(kIdleSweep);
  queue_.release_lean();
  // What was stuck was stuck at the daemon of before.
  if (upstreams_.size() == 1) {
    if (given_up_.count() == 0) queue_.forget_silence();
    nowait_.forget();
  }
  catch_up();
  dispatch();
}

void Pool::answer(const Call& call) {
  if (call.topic == nullptr) return;
  estimates_.add(call, clock_.now() - call.sent);
  Topic& topic = *call.topic;
  queue_.acquit(topic);
  given_up_.answered(call);
  if (!queue_.answered(call, clock_.now())) return;
  log_.line(Level::info, "subject-answers")
      .with("target", target_.name)
      .with("subject", policy::describe(topic.subject))
      .with("ms", (clock_.now() - topic.silent_since).count());
}

void Pool::hand_out(const Upstream& upstream, const Call& call, const Frame& reply) {
  const auto status = static_cast<policy::Status>(reply.header.status);
  queue_.note_reply(call, reply.header.length);
  if (!upstream.finishing()) names_.learn(call, reply);
  // One that is ending may lead to another daemon than the target does now.
  if (target_.max_age.count() > 0 && status == policy::Status::ok && !upstream.finishing()) {
    recent_.add(call, reply.body);
  }
  if (call.lane != nullptr) call.lane->user.on_reply(call, status, reply.body, reply.keeper);
  for (const Call& one : call.joined) {
    if (one.lane != nullptr) one.lane->user.on_reply(one, status, reply.body, reply.keeper);
  }
}

// Whoever asked for it is told so; the others ask again.
void Pool::ask_without_nowait(Call& call, const Frame& reply) {
  NoWait::Askers askers = NoWait::askers_of(call);
  while (!askers.others.empty()) queue_.put_back(askers.others, std::prev(askers.others.end()));
  for (const Call& one : askers.themselves) {
    one.lane->user.on_reply(one, policy::Status::error, reply.body, reply.keeper);
  }
}

void Pool::on_upstream_reply(Upstream& upstream, Calls answered, const Frame& reply) {
  Call& call = answered.front();
  if (call.topic != nullptr) {
    if (!upstream.outdated()) answer(call);
    queue_.finished(call);
    if (NoWait::refused(call, reply)) {
      // A daemon of before a reload says nothing of this one.
      if (!upstream.finishing()) nowait_.leave_out();
      ask_without_nowait(call, reply);
    } else {
      hand_out(upstream, call, reply);
    }
  } else if (!upstream.finishing() && !events_.on_reply(call, reply)) {
    return upstream.close({Reason::Kind::protocol, tunnel::io::Stage::established,
                           "the daemon answered a registration with no callback id, or with one "
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
  // What this host lacks it lacks for whatever call is under way.
  const bool blamed = reason.kind != Reason::Kind::exhausted && !upstream.silence().full;
  Calls calls = upstream.take_in_flight();
  give_up_hanging(calls, upstream, reason);
  let_next_dial(upstream);
  if (event_upstream_ == &upstream) {
    event_upstream_ = nullptr;
    events_.upstream_lost();
  }
  std::erase_if(upstreams_, [&](const auto& u) { return u.get() == &upstream; });
  // One that was given up here says nothing of others, which would have been too.
  if (was_open && reason.kind != Reason::Kind::timeout) lost_ = clock_.now();
  counters_->ended(was_open, reason);
  if (reason.kind != Reason::Kind::requested) {
    log_.line(Level::warning, was_open ? "upstream-lost" : "upstream-failed")
        .with("target", target_.name)
        .with("reason", fault.text)
        .with("in_flight", static_cast<std::int64_t>(calls.size()));
    last_failure_ = UpstreamFailure{reason.stage, reason.text, clock_.now()};
    last_fault_ = fault;
    last_fault_.text = "target '" + target_.name + "': " + fault.text;
    last_fault_.plain = plain_failure(target_.name, reason);
    if (was_open) {
      // The next is not to be carried by what carried it.
      if (reason.kind == Reason::Kind::timeout) {
        tunnel_->avoid_silent(silence_.quiet_time());
      }
      retries_.have_patience(clock_.now(), target_.retry_timeout);
      if (reason.kind == Reason::Kind::protocol || clock_.now() - ready_since < kShortLife) {
        slow_down(ready_since);
      }
    } else if (ready_upstreams() > 0) {
      // One that is being lost at the same time counts: with its end patience begins.
      no_growth_until_ = clock_.now() + kNoGrowth;
    } else {
      // There is still one that takes no more calls.
      const bool was_there =
          std::ranges::any_of(upstreams_, [](const auto& u) { return u->was_ready(); });
      if (was_there && retries_.failures() == 0) {
        retries_.have_patience(clock_.now(), target_.retry_timeout);
      }
      retry_later(reason);
    }
  }
  retake(std::move(calls), ready_since, last_fault_, blamed);
  let_old_tunnels_go();
  if (closed_ && upstreams_.empty()) return std::exchange(closed_, nullptr)();
  dispatch();
}

void Pool::slow_down(Milliseconds ready_since) {
  const Milliseconds wait = retries_.relapsed(ready_since, clock_.now());
  if (wait.count() == 0) return;
  no_growth_until_ = clock_.now() + wait;
  retry_.start(wait);
}

void Pool::retry_later(const Reason& reason) {
  const Retries::Next next = retries_.failed(reason, clock_.now());
  retry_.start(next.pause);
  if (next.told) give_up(last_fault_);
}

// Losing a connection frees no worker of the daemon that hangs. Where nothing was heard after a
// call was sent, the daemon may never have had it.
void Pool::give_up_hanging(Calls& calls, const Upstream& lost, const Reason& reason) {
  if (reason.kind == Reason::Kind::requested || lost.outdated() || lost.silence().full) return;
  // One on which nothing came any more may have carried no call either.
  const bool dead = reason.kind == Reason::Kind::timeout;
  const Milliseconds heard = dead ? lost.last_heard() - kHeardBeside : last_heard(upstreams_);
  for (Call& call : calls) {
    const bool hangs = call.overdue || call.late || call.probe;
    if (!hangs || call.topic == nullptr || call.given_up || heard <= call.sent) continue;
    given_up_.add_lost(call, clock_.now());
    if (!call.kind->silent_since) fall_silent(call);
  }
  limit_queue();
}

// Calls of a lost upstream go to the head of their lanes, in the order in which they were sent.
// Upstreams that were open together are often lost together, which is no call's fault.
void Pool::retake(Calls calls, Milliseconds ready_since, const Fault& fault, bool blamed) {
  Calls again;
  Calls failed;
  for (Call& call : calls) {
    if (call.topic == nullptr) continue;
    if (blamed) queue_.suspect(*call.topic, clock_.now());
    queue_.finished(call);
    Calls askers = one_asker(call);
    askers.splice(askers.end(), call.joined);
    for (auto it = askers.begin(); it != askers.end();) {
      const auto one = it++;
      if (one->lane == nullptr) continue;
      const bool together = ready_since < one->lost && clock_.now() - call.sent < kTogether;
      if (blamed && (one->losses == 0 || !together)) {
        ++one->losses;
        one->lost = clock_.now();
      }
      Calls& to = one->losses < kMostLosses ? again : failed;
      to.splice(to.end(), askers, one);
    }
  }
  while (!again.empty()) {
    Call& one = again.back();
    const Topic* topic = queue_.find(one.subject);
    one.probe = one.probe || (topic != nullptr && topic->silent > 0 &&
                              queue_.way_of(*topic, one, clock_.now()) == Queue::Way::probe);
    queue_.put_back(again, std::prev(again.end()));
  }
  Fault told = fault;
  const std::string guilty = "; the connection was lost " + std::to_string(kMostLosses) +
                             " times with this call on it, so it is not sent again";
  told.text += guilty;
  if (!told.plain.empty()) told.plain += guilty;
  fail_all(failed, told);
}

void Pool::fail_all(const Calls& calls, const Fault& fault) {
  for (const Call& call : calls) call.lane->user.on_call_failed(call, fault);
}

// Whoever waits is told so, unless there is an upstream before its turn comes.
void Pool::give_up(const Fault& fault) {
  const auto why = std::make_shared<const Fault>(fault);
  for (Opener& one : openers_) one.why = why;
  queue_.end_all(fault);
  catch_up();
  events_.give_up(fault);
}

// Ends what is due, a part of it in each turn.
void Pool::catch_up() {
  tunnel::io::Part part(clock_, kEndsOfTurn, kEndsTime);
  while (!openers_.empty() && (ready_upstreams() > 0 || openers_.front().why != nullptr)) {
    if (!part.goes_on()) break;
    end_opener();
  }
  for (const Call& call : expired_in_flight(part)) {
    call.lane->user.on_call_failed(call, late_fault(call));
  }
  while (part.goes_on()) {
    const Calls call = queue_.due(clock_.now());
    if (call.empty()) return;
    const Call& one = call.front();
    one.lane->user.on_call_failed(one, one.why != nullptr ? *one.why : late_fault(one));
  }
  rest_.start(Milliseconds(0));
}

void Pool::end_opener() {
  const Opener one = openers_.front();
  openers_.pop_front();
  if (ready_upstreams() > 0) {
    one.lane->state = Lane::State::open;
    one.lane->user.on_target_ready();
  } else {
    queue_.detach(*one.lane);
    one.lane->user.on_target_failed(*one.why);
  }
}

Fault Pool::timeout_fault(const Call* call) const {
  const Fault before = ready_upstreams() == 0 ? last_fault_ : Fault{};
  return no_answer_fault(target_, call, before, silence_.silent_for(upstreams_), queue_.crowd());
}

void Pool::fall_silent(const Call& call) {
  if (!queue_.fall_silent(call)) return;
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  log_.line(Level::warning, "subject-silent")
      .with("target", target_.name)
      .with("subject", policy::describe(call.topic->subject))
      .with("procedure", row == nullptr ? std::string_view("unknown") : row->name)
      .with("uid", static_cast<std::int64_t>(call.payer->uid))
      .with("ms", (clock_.now() - call.sent).count());
}

// Of one that is ended without its answer, at its deadline or before.
Fault Pool::late_fault(const Call& call) const {
  const Topic* topic = queue_.find(call.subject);
  const bool early = call.deadline > clock_.now();
  const bool short_time = call.deadline - call.began < target_.call_timeout;
  if (topic != nullptr && topic->silent > 0 && (early || short_time))
    return silence_fault(target_, *topic, clock_.now());
  return timeout_fault(&call);
}

// The daemon still works on a call that nobody waits for any more, so its place stays taken.
Calls Pool::expired_in_flight(tunnel::io::Part& part) {
  Calls late;
  for (const auto& upstream : upstreams_) {
    for (Call& call : upstream->calls()) {
      for (auto it = call.joined.begin(); it != call.joined.end();) {
        const auto one = it++;
        if (one->deadline > clock_.now()) continue;
        if (!part.goes_on()) return late;
        Lane* lane = one->lane;
        queue_.let_go(*one);
        one->lane = lane;
        late.splice(late.end(), call.joined, one);
      }
      if (call.topic == nullptr || call.deadline > clock_.now()) continue;
      if (call.lane != nullptr) {
        late.splice(late.end(), one_asker(call));
        queue_.let_go(call);
      }
      if (!call.overdue || call.kind->silent_since || upstream->outdated()) continue;
      // Where all is silent its subject is not to blame.
      if (silence_.delays(*upstream)) continue;
      fall_silent(call);
      queue_.end(*call.kind);
    }
  }
  return late;
}

// What is overdue holds up nothing else: an upstream is there for others before they come.
void Pool::watch() {
  if (silence_.look(upstreams_)) {
    // What was dialled before may be carried by what is silent.
    if (dialled_ != nullptr && !dialled_in_silence_) {
      dialled_->close({Reason::Kind::requested, dialled_->stage(), "another is tried"});
    }
    reach(true);
  }
  bool some = false;
  bool free = false;
  for (const auto& upstream : upstreams_) {
    for (Call& call : upstream->calls()) {
      some = true;
      if (clock_.now() - call.sent >= patience(call, Estimates::kSoonestLate))
        queue_.mark_late(call);
      if (clock_.now() - call.sent >= patience(call, Estimates::kSoonestOverdue))
        queue_.mark_overdue(call);
    }
    free = free || upstream->connecting() ||
           (upstream->ready() && !silence_.is_silent(*upstream) &&
            (upstream->in_flight() <= silence_.calls_at_once() / 2 ||
             !upstream->has_older_than(kOld)));
  }
  if (some && !free) reach(true);
  dispatch();
  if (some && !watch_.running()) watch_.start(kWatch);
}

void Pool::replace_stuck() {
  std::size_t replaced = 0;
  for (const auto& upstream : upstreams_) replaced += upstream->replaced_since() ? 1U : 0U;
  for (const auto& upstream : upstreams_) {
    const auto abandoned = std::ranges::count_if(
        upstream->calls(), [](const Call& call) { return call.overdue && !call.wanted(); });
    if (!upstream->ready() || abandoned < 2 || replaced >= std::max(1U, target_.spare)) continue;
    ++replaced;
    log_.line(Level::warning, "upstream-replaced")
        .with("target", target_.name)
        .with("abandoned", static_cast<std::int64_t>(abandoned));
    if (event_upstream_ == upstream.get()) {
      event_upstream_ = nullptr;
      events_.upstream_lost();
    }
    upstream->replace();
  }
}

void Pool::end_replaced() {
  given_up_.forget(clock_.now());
  const bool lacking = lacks_place();
  for (const auto& upstream : upstreams_) {
    Calls& calls = upstream->calls();
    if (!upstream->finishing() || calls.empty()) continue;
    if (std::ranges::any_of(calls, [&](const Call& call) {
          return call.wanted() || call.deadline > clock_.now();
        })) {
      continue;
    }
    // One that was not replaced goes because the target has another configuration.
    if (upstream->replaced_since()) {
      if (!lacking && clock_.now() - *upstream->replaced_since() < kReplacedEnds) continue;
      if (given_up_.count() - given_up_.lost() + calls.size() > kMostGivenUp) continue;
      for (Call& call : calls) {
        if (call.kind == nullptr) continue;
        given_up_.add_ended(call, clock_.now());
        call.given_up = true;
      }
    }
    upstream->close({Reason::Kind::timeout, tunnel::io::Stage::established,
                     "the daemon left " + std::to_string(calls.size()) + " calls unanswered"});
  }
}

void Pool::sweep() {
  catch_up();
  std::size_t in_flight = 0;
  for (const auto& upstream : upstreams_) in_flight += upstream->in_flight();
  replace_stuck();
  end_replaced();
  queue_.ask_again(clock_.now());
  queue_.release_lean();
  queue_.forget_silence(clock_.now() - kSilenceForgotten);
  queue_.forget_suspicion(clock_.now() - kSilenceForgotten);
  queue_.forget_history(clock_.now());
  events_.expire(clock_.now(), timeout_fault(nullptr));
  dispatch();
  if (queue_.waiting() + in_flight > 0 || events_.waiting()) sweep_.start(kSweep);
}

bool Pool::used() const { return queue_.used(); }

std::set<uid_t> Pool::uids() const { return queue_.uids(); }

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

void Pool::ask_outdated(std::function<void()> outdated) {
  tunnel_->ask_outdated([this, of = tunnel_.get(), outdated = std::move(outdated)](bool is) {
    if (is && of == tunnel_.get()) outdated();
  });
}

void Pool::retarget(conf::TargetConfig target, std::unique_ptr<tunnel::Tunnel> tunnel) {
  target_ = std::move(target);
  queue_.forget_silence();
  queue_.forget_history(Milliseconds::max());
  silence_.forget();
  given_up_.clear();
  estimates_.forget();
  names_.clear();
  nowait_.forget();
  recent_.clear();
  old_tunnels_.push_back(std::exchange(tunnel_, std::move(tunnel)));
  if (std::exchange(event_upstream_, nullptr) != nullptr) events_.upstream_lost();
  retry_.stop();
  refuse_.stop();
  retries_.forget();
  dialled_ = nullptr;
  turn_.end();
  no_growth_until_ = Milliseconds(0);
  retries_.have_patience(clock_.now(), target_.retry_timeout);
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
  rest_.stop();
  watch_.stop();
  idle_.stop();
  turn_.end();
  closed_ = std::move(closed);
  if (upstreams_.empty()) return std::exchange(closed_, nullptr)();
  for (const auto& upstream : upstreams_) upstream->retire();
}

TargetSnapshot Pool::snapshot() const {
  TargetSnapshot out;
  describe_target(target_, *counters_, out);
  out.clients = queue_.lanes();
  out.waiting = queue_.waiting();
  out.silent_ms = static_cast<std::uint64_t>(silence_.silent_for(upstreams_).count());
  describe_trouble(queue_, upstreams_, clock_.now(), out);
  out.registrations = events_.registrations();
  describe_upstreams(upstreams_, silence_, clock_.now(), out);
  out.last_failure = describe(last_failure_, clock_.now());
  if (ready_upstreams() > 0) {
    out.state = "open";
  } else if (retries_.failures() > 0 || retry_.running()) {
    out.state = "failing";
  } else {
    const bool opening = turn_.waiting() || std::ranges::any_of(upstreams_, [](const auto& one) {
                           return one->connecting();
                         });
    out.state = opening ? "opening" : "idle";
  }
  return out;
}

}  // namespace proxy
