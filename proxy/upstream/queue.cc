#include "proxy/upstream/queue.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace proxy {

using State = Lane::State;

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

Topic* Queue::find(const policy::Subject& subject) {
  const auto found = topics_.find(subject);
  return found == topics_.end() ? nullptr : &found->second;
}

void Queue::drop(Topic& topic) {
  if (topic.lines > 0 || topic.lying > 0 || topic.silent_since || topic.suspected_since) {
    return;
  }
  if (topic.lean) lean_.remove(&topic);
  topics_.erase(topics_.find(topic.subject));
}

void Queue::drop(Question& question) {
  if (question.waiting.empty() && question.asked == 0)
    questions_.erase(questions_.find(*question.key));
}

Party& Queue::party_of(uid_t uid) { return parties_.try_emplace(uid, uid, ++turns_).first->second; }

void Queue::drop(Party& party) {
  if (party.lanes.empty() && party.in_flight == 0) parties_.erase(party.uid);
}

void Queue::attach(Lane& lane, State state) {
  CHECK(lane.state == State::detached);
  Party& party = party_of(lane.uid);
  lane.party = &party;
  lane.number = next_lane_++;
  lane.node = party.lanes.insert(party.lanes.end(), &lane);
  lane.state = state;
}

void Queue::ready(Lane& lane) {
  CHECK(lane.state == State::opening);
  lane.state = State::open;
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
  while (!lane.lines.empty()) take(lane.lines.front().calls.front(), dropped);
  for (const Call& call : dropped) {
    if (!call.probe) continue;
    --probes_;
    if (Topic* topic = find(call.subject)) topic->probing = false;
  }
  lane.state = State::detached;
  lane.in_flight = 0;
  expect(lane, 0);
  lane.party->lanes.erase(lane.node);
  drop(*std::exchange(lane.party, nullptr));
}

bool Queue::used() const {
  return std::ranges::any_of(parties_, [](const auto& one) { return !one.second.lanes.empty(); });
}

std::size_t Queue::lanes() const {
  std::size_t sum = 0;
  for (const auto& [uid, party] : parties_) sum += party.lanes.size();
  return sum;
}

std::set<uid_t> Queue::uids() const {
  std::set<uid_t> out;
  for (const auto& [uid, party] : parties_) {
    if (!party.lanes.empty()) out.insert(uid);
  }
  return out;
}

Strand& Queue::strand_of(Lane& lane, Topic& topic) {
  for (Strand& line : lane.lines) {
    if (line.topic == &topic) return line;
  }
  ++topic.lines;
  return lane.lines.emplace_back(Strand{.lane = &lane, .topic = &topic, .node = {}, .calls = {}});
}

std::string Queue::question_of(const Call& call) {
  if (call.body.size() > kMostJoined || call.subject.kind == policy::SubjectKind::none) return {};
  const std::string_view body = base::text_of(call.body);
  std::string key;
  key.reserve(sizeof call.program + sizeof call.procedure + body.size());
  key.append(reinterpret_cast<const char*>(&call.program), sizeof call.program);
  key.append(reinterpret_cast<const char*>(&call.procedure), sizeof call.procedure);
  key += body;
  return key;
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
  if (call->probe) {
    topic.probing = true;
    topic.probed = call->began;
    ++probes_;
  }
  Strand& line = strand_of(lane, topic);
  call->line = &line;
  call->lane = &lane;
  call->overdue = false;
  const auto later = [&](const Call& other) { return other.number > call->number; };
  line.calls.splice(front ? std::ranges::find_if(line.calls, later) : line.calls.end(), from, call);
  join_question(*call, front);
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
  const bool front = &line.calls.front() == &call;
  if (call.question != nullptr) {
    call.question->waiting.erase(call.asking);
    Question& question = *std::exchange(call.question, nullptr);
    if (line.at == Strand::At::question && line.question == &question && front) hold(line);
    drop(question);
  }
  const auto node =
      std::ranges::find_if(line.calls, [&](const Call& one) { return &one == &call; });
  to.splice(to.end(), line.calls, node);
  call.line = nullptr;
  --waiting_;
  tidy(line);
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

// Out of wherever it is. What it was woken for is left to another line of the same user.
void Queue::hold(Strand& line) {
  Lane& lane = *line.lane;
  const Strand::At was = std::exchange(line.at, Strand::At::held);
  if (was == Strand::At::ready) {
    lane.ready.erase(line.node);
    Party& party = *lane.party;
    if (lane.ready.empty()) {
      party.ring.erase(lane.turn);
      if (party.ring.empty()) ring_.erase(party.turn);
    }
    pass_on(*line.topic, lane.uid);
  } else if (was == Strand::At::topic) {
    const auto found = line.topic->blocked.find(lane.uid);
    CHECK(found != line.topic->blocked.end());
    found->second.erase(line.node);
    if (found->second.empty()) line.topic->blocked.erase(found);
  } else if (was == Strand::At::question) {
    std::exchange(line.question, nullptr)->blocked.erase(line.node);
  }
}

void Queue::block(Strand& line, Topic& topic) {
  // Not by hold(), which would wake the next one for the room that there is not.
  const uid_t uid = line.lane->uid;
  Lane& lane = *line.lane;
  lane.ready.erase(line.node);
  if (lane.ready.empty()) {
    lane.party->ring.erase(lane.turn);
    if (lane.party->ring.empty()) ring_.erase(lane.party->turn);
  }
  auto& blocked = topic.blocked[uid];
  line.node = blocked.insert(blocked.end(), &line);
  line.at = Strand::At::topic;
}

void Queue::block(Strand& line, Question& question) {
  hold(line);
  line.node = question.blocked.insert(question.blocked.end(), &line);
  line.question = &question;
  line.at = Strand::At::question;
}

void Queue::pass_on(Topic& topic, uid_t uid) {
  const auto found = topic.blocked.find(uid);
  if (found == topic.blocked.end()) return;
  Strand& line = *found->second.front();
  hold(line);
  make_ready(line);
}

void Queue::release(Topic& topic) {
  for (auto it = topic.blocked.begin(); it != topic.blocked.end();) pass_on(topic, (it++)->first);
}

void Queue::release(Question& question) {
  while (!question.blocked.empty()) {
    Strand& line = *question.blocked.front();
    hold(line);
    make_ready(line);
  }
}

void Queue::release_lean() {
  const std::list<Topic*> lean = std::exchange(lean_, {});
  for (Topic* topic : lean) topic->lean = false;
  for (Topic* topic : lean) release(*topic);
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
  const std::uint32_t most = party.ring.front()->most_in_flight;
  const std::uint32_t stuck = std::min(party.overdue, std::max(most, limits_.of_subject));
  return most != 0 && party.in_flight - stuck >= most;
}

bool Queue::has_more_than_its_share(const Party& party) const {
  const std::size_t has = party.in_flight - party.overdue;
  return 2 * has >= std::max<std::size_t>(places_.all, 2);
}

// What was itself on an upstream that was lost is one also when its subject has answered since: it
// could not bear another loss beside the guilty one.
bool Queue::is_suspect(const Topic& topic, const Call& call) {
  return topic.suspected_since.has_value() || call.losses > 0;
}

// Whether another call about it may lie at the daemon. The second leaves a quarter of the places to
// others, so that some stuck machines do not take all of them before anybody knows.
bool Queue::has_room(Topic& topic, const Call& call) {
  if ((suspects_ > 0 || !places_.proven) && is_suspect(topic, call)) {
    make_lean(topic);
    return false;
  }
  if (topic.silent_since && !call.probe) return false;
  if (call.probe) return topic.lying < limits_.of_subject + 2;
  if (topic.lying >= limits_.of_subject) return false;
  const bool scarce = topic.lying > 0 && places_.free <= places_.all / 4;
  const bool spent = topic.overdue > 0 && overdue_ >= limits_.most_overdue;
  if (!scarce && !spent) return true;
  make_lean(topic);
  return false;
}

void Queue::make_lean(Topic& topic) {
  if (!std::exchange(topic.lean, true)) lean_.push_back(&topic);
}

Calls Queue::next(const Places& places) {
  places_ = places;
  if (places.free == 0) return {};
  for (const bool strict : {true, false}) {
    for (auto it = ring_.begin(); it != ring_.end();) {
      Party& party = *it->second;
      if (at_rule(party) || (strict && ring_.size() > 1 && has_more_than_its_share(party))) {
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
  return std::ranges::any_of(ring_, [&](const auto& one) { return !at_rule(*one.second); });
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
    if (!has_room(*line.topic, call)) {
      block(line, *line.topic);
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
  served(party);
  party.ring.splice(party.ring.end(), party.ring, lane.turn);
  lane.ready.splice(lane.ready.end(), lane.ready, line.node);
  ++topic.lying;
  ++party.in_flight;
  begin_to_count(lane, line.calls.front());
  Question* question = line.calls.front().question;
  if (question != nullptr) ++question->asked;
  Calls out;
  take(line.calls.front(), out);
  Call& call = out.front();
  call.topic = &topic;
  call.payer = &party;
  call.question = question;
  call.overdue = false;
  call.suspect = is_suspect(topic, call);
  if (call.suspect) ++suspects_;
  if (call.probe) topic.probing = false;
  if (question != nullptr && !call.probe) join(call, *question);
  settle(lane);
  return out;
}

void Queue::served(Party& party) {
  const bool waits = !party.ring.empty();
  if (waits) ring_.erase(party.turn);
  party.turn = ++turns_;
  if (waits) ring_.emplace(party.turn, &party);
}

// In their order, and only what is first in its line, so that a client's calls about one subject
// keep theirs. Their turn is over as if they had been sent.
void Queue::join(Call& call, Question& question) {
  for (auto it = question.waiting.begin(); it != question.waiting.end();) {
    Call& other = **it++;
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

void Queue::mark_overdue(Call& call) {
  if (call.overdue || call.topic == nullptr) return;
  call.overdue = true;
  ++call.topic->overdue;
  ++call.payer->overdue;
  ++overdue_;
  if (call.probe) --probes_;
  no_longer_suspect(call);
  no_longer_counts(call);
  for (Call& asker : call.joined) {
    asker.overdue = true;
    no_longer_counts(asker);
  }
  if (call.question == nullptr) return;
  Question& question = *std::exchange(call.question, nullptr);
  if (--question.asked == 0) release(question);
  drop(question);
}

void Queue::no_longer_suspect(Call& call) {
  if (!std::exchange(call.suspect, false)) return;
  --suspects_;
  release_lean();
}

void Queue::expect(Lane& lane, std::uint64_t bytes) {
  if (std::exchange(lane.expected, bytes) != bytes) lane.user.on_expected(bytes);
}

void Queue::begin_to_count(Lane& lane, const Call& asker) {
  ++lane.in_flight;
  expect(lane, lane.expected + asker.expected);
}

void Queue::no_longer_counts(const Call& asker) {
  if (asker.lane == nullptr) return;
  --asker.lane->in_flight;
  expect(*asker.lane, asker.lane->expected - asker.expected);
  settle(*asker.lane);
}

void Queue::finished(Call& call) {
  if (call.topic == nullptr) return;
  Topic& topic = *std::exchange(call.topic, nullptr);
  --topic.lying;
  Party& party = *std::exchange(call.payer, nullptr);
  --party.in_flight;
  if (std::exchange(call.suspect, false)) --suspects_;
  const bool counts = !std::exchange(call.overdue, false);
  if (!counts) {
    --topic.overdue;
    --party.overdue;
    --overdue_;
  }
  if (call.question != nullptr) {
    Question& question = *std::exchange(call.question, nullptr);
    if (--question.asked == 0) release(question);
    drop(question);
  }
  release(topic);
  drop(topic);
  if (counts) {
    if (call.probe) --probes_;
    no_longer_counts(call);
    for (const Call& asker : call.joined) no_longer_counts(asker);
  }
  drop(party);
  release_lean();
}

bool Queue::may_probe(const Topic& topic, Milliseconds now) const {
  if (topic.probing || topic.lying >= limits_.of_subject + 2) return false;
  // One that was sent a moment ago is likely to be overdue soon.
  if (overdue_ + probes_ >= limits_.most_overdue) {
    return topic.lying == 0 && overdue_ + probes_ < limits_.most_overdue + 4;
  }
  return topic.lying == 0 || now - topic.probed >= kProbeEvery;
}

void Queue::fall_silent(Topic& topic, const Call& call) {
  topic.silent_since = call.sent;
  topic.unanswered = call.procedure;
  topic.probed = call.deadline - kProbeEvery;
}

void Queue::answered(Topic& topic) {
  topic.silent_since.reset();
  release(topic);
  if (topic.lying < limits_.of_subject) release(topic);
}

void Queue::forget_silence(Milliseconds probed_before) {
  for (auto it = topics_.begin(); it != topics_.end();) {
    Topic& topic = (it++)->second;
    if (!topic.silent_since || topic.probed >= probed_before) continue;
    answered(topic);
    drop(topic);
  }
}

void Queue::forget_suspicion(Milliseconds before) {
  for (auto it = topics_.begin(); it != topics_.end();) {
    Topic& topic = (it++)->second;
    if (!topic.suspected_since || *topic.suspected_since >= before) continue;
    topic.suspected_since.reset();
    drop(topic);
  }
}

template <typename Which>
Calls Queue::take_if(Which which) {
  Calls out;
  std::vector<Call*> taken;
  for (auto& [uid, party] : parties_) {
    for (Lane* lane : party.lanes) {
      for (Strand& line : lane->lines) {
        for (Call& call : line.calls) {
          if (which(call)) taken.push_back(&call);
        }
      }
    }
  }
  for (Call* call : taken) {
    if (call->probe) {
      call->line->topic->probing = false;
      --probes_;
    }
    take(*call, out);
  }
  return out;
}

Calls Queue::expired(Milliseconds now) {
  return take_if([&](const Call& call) { return call.deadline <= now; });
}

Calls Queue::about(const Topic& topic) {
  return take_if([&](const Call& call) { return call.line->topic == &topic && !call.probe; });
}

Calls Queue::all() {
  return take_if([](const Call&) { return true; });
}

}  // namespace proxy
