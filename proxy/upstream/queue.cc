#include "proxy/upstream/queue.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace proxy {

using State = Lane::State;

namespace {

// Calls about a subject that may hang at the daemon beyond those that it may have there anyway, and
// calls about all of them beyond those that may be overdue: such as have been answered before, and
// others. Of libvirtd's twenty workers that leaves some.
constexpr std::uint32_t kMoreKnown = 4;
constexpr std::uint32_t kMoreUnknown = 2;
constexpr std::size_t kMoreKnownOfAll = 8;
constexpr std::size_t kMoreUnknownOfAll = 6;
// What is answered so long after a call was sent that hangs does not wait for the same.
constexpr Milliseconds kProof{100};

}  // namespace

Topic& Queue::topic_of(const policy::Subject& subject) {
  auto found = topics_.find(subject);
  if (found == topics_.end()) {
    found = topics_.try_emplace({subject.kind, subject.key}).first;
    found->second.subject = subject;
  } else if (found->second.subject.name.empty()) {
    found->second.subject.name = subject.name;
  }
  return found->second;
}

const Topic* Queue::find(const policy::Subject& subject) const {
  const auto found = topics_.find(subject);
  return found == topics_.end() ? nullptr : &found->second;
}

void Queue::drop(Topic& topic) {
  if (topic.lines > 0 || !topic.kinds.empty() || topic.suspected_since) return;
  if (topic.waiters.lean) lean_.remove(&topic.waiters);
  for (Waiters& waiters : topic.unsure) {
    if (waiters.lean) lean_.remove(&waiters);
  }
  topics_.erase(topics_.find(topic.subject));
}

void Queue::drop(Kind& kind) {
  if (kind.waiting > 0 || kind.lying > 0 || kind.silent_since || kind.answered) return;
  if (kind.waiters.lean) lean_.remove(&kind.waiters);
  kind.topic.kinds.erase(kind.key);
}

void Queue::drop(Question& question) {
  if (question.waiting.empty() && question.asked == 0)
    questions_.erase(questions_.find(*question.key));
}

void Queue::attach(Lane& lane, State state) {
  CHECK(lane.state == State::detached);
  parties_.add(parties_.of(lane.uid, ++turns_), lane);
  lane.number = next_lane_++;
  lane.state = state;
}

void Queue::wake(Lane& lane) {
  if (lane.state != State::parked) return;
  resume(lane);
  settle(lane);
}

void Queue::detach(Lane& lane) {
  if (lane.state == State::detached) return;
  if (lane.state == State::open) suspend(lane, State::parked);
  Calls dropped;
  while (!lane.lines.empty()) withdraw(lane.lines.front().calls.front(), dropped);
  lane.state = State::detached;
  lane.in_flight = 0;
  expect(lane, 0);
  parties_.remove(lane);
}

Strand& Queue::strand_of(Lane& lane, Topic& topic) {
  for (Strand& line : lane.lines) {
    if (line.topic == &topic) return line;
  }
  ++topic.lines;
  return lane.lines.emplace_back(Strand{.lane = &lane, .topic = &topic, .node = {}, .calls = {}});
}

void Queue::join_question(Call& call, bool front) {
  call.question = nullptr;
  std::string key = question_of(call);
  if (key.empty()) return;
  const auto found = questions_.try_emplace(std::move(key)).first;
  Question& question = found->second;
  question.key = &found->first;
  auto& waiting = question.waiting;
  call.question = &question;
  call.asking = waiting.insert(front ? waiting.begin() : waiting.end(), &call);
}

void Queue::enter(Lane& lane, Calls& from, Calls::iterator call, bool front) {
  CHECK(lane.state != State::detached && lane.state != State::opening);
  Topic& topic = topic_of(call->subject);
  const std::uint64_t key = kind_of(*call);
  Kind& kind = topic.kinds.try_emplace(key, topic, key).first->second;
  call->kind = &kind;
  ++kind.waiting;
  if (call->probe) begin_probe(*call, call->began);
  Strand& line = strand_of(lane, topic);
  call->line = &line;
  call->lane = &lane;
  call->overdue = false;
  call->why.reset();
  const auto later = [&](const Call& other) { return other.number > call->number; };
  line.calls.splice(front ? std::ranges::find_if(line.calls, later) : line.calls.end(), from, call);
  join_question(*call, front);
  due_.add(*call);
  ++waiting_;
  if (front) hold(line);
  if (line.at == Strand::At::held && lane.state == State::open) make_ready(line);
}

void Queue::push(Call call) {
  Lane& lane = *call.lane;
  call.number = ++lane.calls;
  Calls one;
  one.push_back(std::move(call));
  enter(lane, one, one.begin(), false);
}

void Queue::put_back(Calls& from, Calls::iterator call) { enter(*call->lane, from, call, true); }

// Takes a call that waits out of its line; a line that is empty goes.
void Queue::take(Call& call, Calls& to) {
  Strand& line = *call.line;
  // The next one may wait for something else.
  if (&line.calls.front() == &call) line.at == Strand::At::ready ? wake_next(line) : hold(line);
  if (call.question != nullptr) {
    call.question->waiting.erase(call.asking);
    drop(*std::exchange(call.question, nullptr));
  }
  const auto node =
      std::ranges::find_if(line.calls, [&](const Call& one) { return &one == &call; });
  to.splice(to.end(), line.calls, node);
  call.line = nullptr;
  due_.remove(call);
  --waiting_;
  Kind& kind = *std::exchange(call.kind, nullptr);
  --kind.waiting;
  drop(kind);
  tidy(line);
}

void Queue::withdraw(Call& call, Calls& to) {
  if (call.probe) {
    call.kind->probing = false;
    --probes_;
  }
  take(call, to);
}

void Queue::tidy(Strand& line) {
  Lane& lane = *line.lane;
  if (!line.calls.empty()) {
    if (line.at == Strand::At::held && lane.state == State::open) make_ready(line);
    return;
  }
  hold(line);
  Topic& topic = *line.topic;
  --topic.lines;
  lane.lines.remove_if([&](const Strand& one) { return &one == &line; });
  drop(topic);
}

void Queue::make_ready(Strand& line) {
  Lane& lane = *line.lane;
  Party& party = *lane.party;
  if (lane.ready.empty()) {
    if (party.ring.empty()) ring_.emplace(party.turn, &party);
    lane.turn = party.ring.insert(party.ring.end(), &lane);
  }
  line.node = lane.ready.insert(lane.ready.end(), &line);
  line.at = Strand::At::ready;
}

// From among those with something to send.
void Queue::take_out(Strand& line) {
  Lane& lane = *line.lane;
  Party& party = *lane.party;
  lane.ready.erase(line.node);
  if (!lane.ready.empty()) return;
  party.ring.erase(lane.turn);
  if (party.ring.empty()) ring_.erase(party.turn);
}

// Out of wherever it is. What it was woken for is left to another line of the same user.
void Queue::hold(Strand& line) {
  const Strand::At was = std::exchange(line.at, Strand::At::held);
  if (was == Strand::At::ready) {
    take_out(line);
    wake_next(line);
  } else if (was == Strand::At::waiting) {
    auto& lines = std::exchange(line.waiters, nullptr)->lines;
    const auto found = lines.find(line.lane->uid);
    CHECK(found != lines.end());
    found->second.erase(line.node);
    if (found->second.empty()) lines.erase(found);
  } else if (was == Strand::At::question) {
    std::exchange(line.question, nullptr)->blocked.erase(line.node);
  }
}

void Queue::block(Strand& line, Waiters& waiters) {
  take_out(line);
  if (line.waiters != &waiters) wake_next(line);
  auto& blocked = waiters.lines[line.lane->uid];
  line.node = blocked.insert(blocked.end(), &line);
  line.waiters = &waiters;
  line.at = Strand::At::waiting;
}

void Queue::block(Strand& line, Question& question) {
  hold(line);
  line.node = question.blocked.insert(question.blocked.end(), &line);
  line.question = &question;
  line.at = Strand::At::question;
}

void Queue::wake(Waiters& waiters, uid_t uid) {
  const auto found = waiters.lines.find(uid);
  if (found == waiters.lines.end()) return;
  Strand& line = *found->second.front();
  hold(line);
  line.waiters = &waiters;
  make_ready(line);
}

void Queue::wake_next(Strand& line) {
  if (Waiters* from = std::exchange(line.waiters, nullptr)) wake(*from, line.lane->uid);
}

void Queue::release(Waiters& waiters) {
  for (auto it = waiters.lines.begin(); it != waiters.lines.end();) wake(waiters, (it++)->first);
}

void Queue::release(Topic& topic) {
  release(topic.waiters);
  for (Waiters& waiters : topic.unsure) release(waiters);
}

void Queue::release(Question& question) {
  while (!question.blocked.empty()) {
    Strand& line = *question.blocked.front();
    hold(line);
    make_ready(line);
  }
}

void Queue::release_lean() {
  const std::list<Waiters*> lean = std::exchange(lean_, {});
  for (Waiters* waiters : lean) waiters->lean = false;
  for (Waiters* waiters : lean) release(*waiters);
  for (Waiters& waiters : crowd_) release(waiters);
}

void Queue::suspend(Lane& lane, State state) {
  for (Strand& line : lane.lines) hold(line);
  lane.state = state;
}

void Queue::resume(Lane& lane) {
  lane.state = State::open;
  for (Strand& line : lane.lines) {
    if (line.at == Strand::At::held) make_ready(line);
  }
}

void Queue::settle(Lane& lane) {
  const bool full = lane.in_flight >= limits_.of_lane;
  if (lane.state == State::open && full) suspend(lane, State::full);
  if (lane.state == State::full && !full) resume(lane);
}

// A few more may be overdue, so that one stuck machine does not keep a user of few places from all
// else.
bool Queue::at_rule(const Party& party) const {
  const Lane& lane = *party.ring.front();
  const std::uint32_t most = lane.most_in_flight;
  const std::uint32_t stuck = std::min(party.overdue, most_stuck(lane));
  return most != 0 && party.in_flight - stuck >= most;
}

// Whoever is there and has nothing to ask finds a place at once when it does.
bool Queue::has_its_most(const Party& party) const {
  return parties_.present() > 1 &&
         4 * std::size_t{party.in_flight - party.overdue} >= 3 * places_.most;
}

bool Queue::has_more_than_its_share(const Party& party) const {
  const std::size_t has = party.in_flight - party.overdue;
  return 2 * has >= std::max<std::size_t>(places_.all, 2);
}

// A call that was lost once is suspected even if its subject has answered since: lost again beside
// the guilty call, it would be refused.
bool Queue::is_suspect(const Topic& topic, const Call& call) {
  return topic.suspected_since.has_value() || call.losses > 0;
}

bool Queue::is_proven(const Kind& kind) const {
  return !crowded_since_ || (kind.answered && *kind.answered >= *crowded_since_);
}

// What the call has to wait for before it may lie at the daemon; null: nothing. The second about a
// subject leaves a quarter of the places to others, so that some stuck machines do not take all of
// them before anybody knows.
Waiters* Queue::obstacle_of(Topic& topic, const Call& call) {
  Kind& kind = *call.kind;
  if ((suspects_ > 0 || !places_.proven) && is_suspect(topic, call))
    return &make_lean(topic.waiters);
  if (topic.lying - topic.overdue >= limits_.of_subject) return &topic.waiters;
  if (call.probe) {
    return topic.overdue < limits_.of_subject + kMoreUnknown ? nullptr : &topic.waiters;
  }
  if (kind.silent_since) return &kind.waiters;
  if (Waiters* trouble = trouble_of(topic, kind, *call.lane)) return trouble;
  const bool second = topic.lying > topic.overdue || kind.overdue > 0;
  if (second && places_.free <= places_.all / 4) return &make_lean(topic.waiters);
  if (topic.is_strange() && strange_ >= limits_.most_overdue) return &crowd_[0];
  const bool sure = topic.answers(kind) && is_proven(kind);
  return sure ? nullptr : crowd_of(*call.lane->party, kind);
}

// What a rule lets hang of a user's calls before the rest of its places are touched.
std::uint32_t Queue::most_stuck(const Lane& lane) const {
  return std::max(lane.most_in_flight, limits_.of_subject);
}

// Where a rule leaves a user few places, what may hang too is not to take the last of them.
bool Queue::risks_enough(const Lane& lane) const {
  return lane.most_in_flight != 0 && lane.party->overdue >= most_stuck(lane);
}

// Whether one user may have a call tried of a kind of which nobody knows. While others are there it
// leaves a part to them.
bool Queue::may_try(const Topic& topic, const Kind* kind, const Lane& lane) const {
  const bool known = kind != nullptr && kind->answered;
  const auto mine = topic.overdue_of.find(lane.uid);
  const bool greedy = parties_.present() > 1 && mine != topic.overdue_of.end() &&
                      mine->second >= limits_.of_subject;
  return !greedy && !risks_enough(lane) &&
         topic.overdue < limits_.of_subject + (known ? kMoreKnown : kMoreUnknown);
}

Waiters* Queue::trouble_of(Topic& topic, Kind& kind, const Lane& lane) {
  if (topic.answers(kind)) return nullptr;
  if (kind.overdue > 0) {
    const bool spent = 2 * risked() >= limits_.most_overdue;
    return topic.overdue >= limits_.of_subject || spent ? &make_lean(kind.waiters) : nullptr;
  }
  if (kind.lying > 0) return &kind.waiters;
  Waiters& waiters = topic.unsure[kind.answered ? 1 : 0];
  // What is left then is for other subjects.
  if (topic.overdue > 0 && risked() >= limits_.most_overdue) return &make_lean(waiters);
  return may_try(topic, &kind, lane) ? nullptr : &make_lean(waiters);
}

Waiters* Queue::crowd_of(const Party& party, const Kind& kind) {
  if (risked() < limits_.most_overdue) return nullptr;
  const bool known = kind.topic.known > 0;
  const std::size_t more = more_of_all(known) + party.last_places();
  const bool greedy =
      parties_.present() > 1 && party.overdue + party.unsure >= limits_.most_overdue;
  const bool spent = risked() >= limits_.most_overdue + more;
  const bool may_try_more = (known || limits_.may_be_restarted) && limits_.now >= next_trial_;
  const bool waits = unsure_ > 0 || greedy || (spent && !may_try_more);
  return waits ? &crowd_[known ? 1 : 0] : nullptr;
}

Waiters& Queue::make_lean(Waiters& waiters) {
  if (!std::exchange(waiters.lean, true)) lean_.push_back(&waiters);
  return waiters;
}

Calls Queue::next(const Places& places) {
  places_ = places;
  if (places.free == 0) return {};
  for (const bool strict : {true, false}) {
    for (auto it = ring_.begin(); it != ring_.end();) {
      Party& party = *it->second;
      if (at_rule(party) || has_its_most(party) ||
          (strict && ring_.size() > 1 && has_more_than_its_share(party))) {
        ++it;
        continue;
      }
      Calls out = next_of(party);
      if (!out.empty()) return out;
      it = ring_.begin();
    }
  }
  return {};
}

bool Queue::hungry() const {
  return std::ranges::any_of(
      ring_, [&](const auto& one) { return !at_rule(*one.second) && !has_its_most(*one.second); });
}

// Until it is empty, or something is sent.
Calls Queue::next_of(Party& party) {
  while (!party.ring.empty() && !at_rule(party)) {
    Lane& lane = *party.ring.front();
    if (!lane.user.can_take_reply()) {
      suspend(lane, State::parked);
      continue;
    }
    Strand& line = *lane.ready.front();
    const Call& call = line.calls.front();
    if (Waiters* obstacle = obstacle_of(*line.topic, call)) {
      block(line, *obstacle);
    } else if (call.question != nullptr && call.question->asked > 0) {
      block(line, *call.question);
    } else {
      return send(line);
    }
  }
  return {};
}

Calls Queue::send(Strand& line) {
  Lane& lane = *line.lane;
  Party& party = *lane.party;
  Topic& topic = *line.topic;
  Kind& kind = *line.calls.front().kind;
  served(party);
  party.ring.splice(party.ring.end(), party.ring, lane.turn);
  lane.ready.splice(lane.ready.end(), lane.ready, line.node);
  ++topic.lying;
  ++kind.lying;
  ++party.in_flight;
  begin_to_count(lane, line.calls.front());
  Question* question = line.calls.front().question;
  if (question != nullptr) ++question->asked;
  Calls out;
  take(line.calls.front(), out);
  Call& call = out.front();
  call.topic = &topic;
  call.kind = &kind;
  call.payer = &party;
  call.question = question;
  call.overdue = false;
  call.suspect = is_suspect(topic, call);
  if (call.suspect) ++suspects_;
  if (call.probe) {
    kind.probing = false;
  } else if (!topic.answers(kind) || !is_proven(kind)) {
    if (is_spent()) next_trial_ = limits_.now + trial_pause_;
    call.unsure = true;
    ++party.unsure;
    ++unsure_;
  }
  call.strange = topic.is_strange();
  if (call.strange) ++strange_;
  if (question != nullptr && !call.probe) join(call, *question);
  settle(lane);
  return out;
}

void Queue::served(Party& party) {
  auto place = ring_.extract(party.turn);
  party.turn = ++turns_;
  if (place.empty()) return;
  place.key() = party.turn;
  ring_.insert(ring_.end(), std::move(place));
}

// In their order, and only what is first in its line, so that a client's calls about one subject
// keep theirs. Their turn is over as if they had been sent.
void Queue::join(Call& call, Question& question) {
  for (auto it = question.waiting.begin(); it != question.waiting.end();) {
    Call& other = **it++;
    if (call.joined.size() + 1 >= kMostAskers) return;
    Strand& line = *other.line;
    Lane& lane = *other.lane;
    if (&line.calls.front() != &other || other.probe) continue;
    if (lane.state == State::parked || !lane.user.can_take_reply()) continue;
    if (other.losses > 0 && !call.suspect) continue;
    begin_to_count(lane, other);
    take(other, call.joined);
    if (!lane.ready.empty()) {
      lane.party->ring.splice(lane.party->ring.end(), lane.party->ring, lane.turn);
    }
    served(*lane.party);
    settle(lane);
  }
}

void Queue::let_go(Call& asker) {
  Lane* lane = std::exchange(asker.lane, nullptr);
  if (lane == nullptr || lane->state == State::detached || asker.overdue) return;
  --lane->in_flight;
  expect(*lane, lane->expected - asker.expected);
  settle(*lane);
}

// Many that are late at once are likely to be overdue soon.
void Queue::mark_late(Call& call) {
  if (call.late || call.overdue || call.probe || call.unsure || call.topic == nullptr) return;
  call.late = true;
  ++late_;
  if (std::exchange(call.strange, false)) --strange_;
  note_crowd(call);
}

void Queue::note_crowd(const Call& call) {
  if (overdue_ + late_ < limits_.most_overdue) return;
  crowded_since_ = std::max(crowded_since_.value_or(call.sent), call.sent + kProof);
}

void Queue::end_crowd() {
  if (overdue_ + late_ + limits_.given_up >= limits_.most_overdue) return;
  crowded_since_.reset();
  trial_pause_ = kFirstResort;
}

void Queue::mark_overdue(Call& call) {
  if (call.overdue || call.topic == nullptr) return;
  if (call.unsure && limits_.now < next_trial_) {
    trial_pause_ = std::min(2 * trial_pause_, kLongestResort);
  }
  no_longer_risked(call);
  call.overdue = true;
  Topic& topic = *call.topic;
  if (!topic.troubled_since) topic.troubled_since = call.sent + kProof;
  ++topic.overdue;
  ++topic.overdue_of[call.payer->uid];
  ++call.kind->overdue;
  ++call.payer->overdue;
  ++overdue_;
  note_crowd(call);
  no_longer_counts(call);
  for (Call& asker : call.joined) {
    asker.overdue = true;
    no_longer_counts(asker);
  }
  no_longer_asks(call);
  release(topic);
  release_lean();
}

void Queue::no_longer_asks(Call& call) {
  if (call.question == nullptr) return;
  Question& question = *std::exchange(call.question, nullptr);
  if (--question.asked == 0) release(question);
  drop(question);
}

// What it counts for while it is not overdue.
void Queue::no_longer_risked(Call& call) {
  if (std::exchange(call.unsure, false)) {
    --call.payer->unsure;
    --unsure_;
  }
  if (std::exchange(call.late, false)) --late_;
  if (std::exchange(call.strange, false)) --strange_;
  if (std::exchange(call.suspect, false)) --suspects_;
  if (call.probe && !call.overdue) --probes_;
}

void Queue::begin_to_count(Lane& lane, Call& asker) {
  ++lane.in_flight;
  asker.expected = sizes_[{asker.program, asker.procedure}].usual();
  expect(lane, lane.expected + asker.expected);
}

void Queue::no_longer_counts(const Call& asker) {
  if (asker.lane == nullptr) return;
  --asker.lane->in_flight;
  expect(*asker.lane, asker.lane->expected - asker.expected);
  settle(*asker.lane);
}

void Queue::finished(Call& call) {
  no_longer_risked(call);
  Topic& topic = *std::exchange(call.topic, nullptr);
  Kind& kind = *std::exchange(call.kind, nullptr);
  Party& party = *std::exchange(call.payer, nullptr);
  --topic.lying;
  --kind.lying;
  --party.in_flight;
  const bool counts = !std::exchange(call.overdue, false);
  if (!counts) {
    --topic.overdue;
    const auto mine = topic.overdue_of.find(party.uid);
    if (--mine->second == 0) topic.overdue_of.erase(mine);
    --kind.overdue;
    --party.overdue;
    --overdue_;
    end_trouble(topic);
  }
  end_crowd();
  no_longer_asks(call);
  release(kind.waiters);
  release(topic);
  drop(kind);
  drop(topic);
  if (counts) {
    no_longer_counts(call);
    for (const Call& asker : call.joined) no_longer_counts(asker);
  }
  parties_.drop(party);
  release_lean();
}

void Queue::end_trouble(Topic& topic) {
  if (topic.overdue == 0 && topic.silent == 0) topic.troubled_since.reset();
}

Queue::Way Queue::way_of(const Topic& topic, const Call& call, Milliseconds now) const {
  const auto found = topic.kinds.find(kind_of(call));
  const Kind* kind = found == topic.kinds.end() ? nullptr : &found->second;
  if (kind != nullptr && topic.answers(*kind)) return Way::free;
  if (kind != nullptr && kind->silent_since) {
    return !risks_enough(*call.lane) && may_probe(*kind, now) ? Way::probe : Way::none;
  }
  return may_try(topic, kind, *call.lane) ? Way::unsure : Way::none;
}

bool Queue::may_probe(const Kind& kind, Milliseconds now) const {
  const Topic& topic = kind.topic;
  if (kind.probing || topic.overdue >= limits_.of_subject + kMoreUnknown) return false;
  // One that was sent a moment ago is likely to be overdue soon.
  if (risked() >= limits_.most_overdue) {
    return topic.lying == 0 && (!is_spent() || (limits_.may_be_restarted && now >= last_resort_));
  }
  return kind.lying == 0 || now - kind.probed >= kProbeEvery;
}

bool Queue::is_spent() const { return risked() >= limits_.most_overdue + more_of_all(true); }

// No more than may be overdue, so that where that is few it is few in all.
std::size_t Queue::more_of_all(bool known) const {
  const std::size_t most = std::max<std::size_t>(limits_.most_overdue, 1);
  return std::min(known ? kMoreKnownOfAll : kMoreUnknownOfAll, most);
}

// What was given up may be forgotten by a daemon that was restarted, and only asking can tell.
void Queue::begin_probe(Call& call, Milliseconds now) {
  if (is_spent()) {
    last_resort_ = now + last_resort_pause_;
    last_resort_pause_ = std::min(2 * last_resort_pause_, kLongestResort);
  }
  call.probe = true;
  call.kind->probing = true;
  call.kind->probed = now;
  ++probes_;
}

bool Queue::fall_silent(const Call& call) {
  Kind& kind = *call.kind;
  Topic& topic = kind.topic;
  kind.silent_since = call.sent;
  kind.probed = call.deadline - kProbeEvery;
  ++silent_;
  if (topic.silent++ > 0) return false;
  topic.silent_since = call.sent;
  topic.unanswered = call.procedure;
  return true;
}

// Where one that was stuck is answered, others may well be of which no call lies there to tell.
bool Queue::answered(const Call& call, Milliseconds now) {
  Kind& kind = *call.kind;
  Topic& topic = kind.topic;
  const bool was_silent = topic.silent > 0;
  if (call.probe) {
    last_resort_ = now;
    last_resort_pause_ = kFirstResort;
  }
  if (call.unsure) next_trial_ = now;
  history_.add(kind, call.payer->uid, now);
  while (Kind* one = history_.excess()) forget(*one);
  if (call.overdue || kind.silent_since) {
    for (auto& [key, one] : topic.kinds) {
      if (one.silent_since && (&one == &kind || one.lying == 0)) speak(one);
    }
  }
  return was_silent && topic.silent == 0;
}

// Where nobody comes to ask whether a silent subject answers again, one that waits does.
void Queue::ask_again(Milliseconds now) {
  for (auto it = topics_.begin(); silent_ > 0 && it != topics_.end(); ++it) {
    for (auto& [key, kind] : it->second.kinds) {
      if (!kind.silent_since || kind.waiters.lines.empty() || !may_probe(kind, now)) continue;
      Strand& line = *kind.waiters.lines.begin()->second.front();
      if (risks_enough(*line.lane)) continue;
      begin_probe(line.calls.front(), now);
      wake(kind.waiters, line.lane->uid);
    }
  }
}

void Queue::speak(Kind& kind) {
  Topic& topic = kind.topic;
  kind.silent_since.reset();
  --silent_;
  --topic.silent;
  end_trouble(topic);
  release(kind.waiters);
  release(topic);
}

void Queue::forget(Kind& kind) {
  Topic& topic = kind.topic;
  history_.remove(kind);
  drop(kind);
  drop(topic);
}

void Queue::forget_history(Milliseconds now) {
  while (Kind* kind = history_.outdated(now)) forget(*kind);
}

void Queue::forget_silence(Milliseconds probed_before) {
  for (auto it = topics_.begin(); silent_ > 0 && it != topics_.end();) {
    Topic& topic = (it++)->second;
    for (auto kind = topic.kinds.begin(); topic.silent > 0 && kind != topic.kinds.end();) {
      Kind& one = (kind++)->second;
      if (!one.silent_since || one.probed >= probed_before) continue;
      speak(one);
      drop(one);
    }
    drop(topic);
  }
}

void Queue::suspect(Topic& topic, Milliseconds now) {
  if (!topic.suspected_since) ++suspected_;
  topic.suspected_since = now;
}

void Queue::acquit(Topic& topic) {
  if (topic.suspected_since) --suspected_;
  topic.suspected_since.reset();
}

void Queue::forget_suspicion(Milliseconds before) {
  for (auto it = topics_.begin(); suspected_ > 0 && it != topics_.end();) {
    Topic& topic = (it++)->second;
    if (!topic.suspected_since || *topic.suspected_since >= before) continue;
    acquit(topic);
    drop(topic);
  }
}

template <typename Which>
void Queue::end_if(Which which, const std::shared_ptr<const policy::Fault>& why) {
  for (const auto& [uid, party] : parties_.all()) {
    for (Lane* lane : party.lanes) {
      for (Strand& line : lane->lines) {
        for (Call& call : line.calls) {
          if (which(call)) due_.end(call, why);
        }
      }
    }
  }
}

void Queue::end(const Kind& kind) {
  end_if([&](const Call& call) { return call.kind == &kind && !call.probe; }, nullptr);
}

void Queue::end_all(const policy::Fault& fault) {
  end_if([](const Call&) { return true; }, std::make_shared<const policy::Fault>(fault));
}

Calls Queue::due(Milliseconds now) {
  Calls out;
  while (Call* call = due_.next(now)) {
    // Its kind answers again.
    if (call->deadline > now && call->why == nullptr && !call->kind->silent_since) {
      due_.spare(*call);
      continue;
    }
    withdraw(*call, out);
    break;
  }
  return out;
}

}  // namespace proxy
