// `max_age` of a target: answers that another client may have to the same question, to the byte,
// while they are no older than that. An answer's age is that of its question, when it was sent, so
// that what it tells is never older. Nobody gets the same answer twice: whoever asks again wants to
// know what has changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "proxy/upstream/call.h"
#include "proxy/upstream/queue.h"

namespace proxy {

class Recent {
 public:
  // Of all answers together, in bytes; the oldest go first. One that is longer than a part of that
  // is not kept.
  static constexpr std::size_t kMost = std::size_t{8} << 20;
  static constexpr std::size_t kLongest = kMost / 8;
  // An answer that so many have had is forgotten.
  static constexpr std::size_t kMostLanes = 4096;

  struct Answer {
    std::string question;
    Milliseconds asked{0};
    base::Buffer body;
    std::set<std::uint64_t> lanes;  // by number: those that have had it
  };

  // `call` was answered with `body`.
  void add(const Call& call, base::Bytes body) {
    std::string question = question_of(call);
    if (question.empty() || body.size() > kLongest) return;
    const auto old = by_question_.find(question);
    if (old != by_question_.end()) {
      if (old->second->asked > call.sent) return;
      erase(old->second);
    }
    Answer answer{std::move(question), call.sent, {body.begin(), body.end()}, {}};
    if (call.lane != nullptr) answer.lanes.insert(call.lane->number);
    for (const Call& one : call.joined) {
      if (one.lane != nullptr) answer.lanes.insert(one.lane->number);
    }
    bytes_ += size_of(answer);
    const auto added = answers_.insert(answers_.end(), std::move(answer));
    by_question_.emplace(added->question, added);
    while (bytes_ > kMost) erase(answers_.begin());
  }
  // One that `lane` may have, which from now on has had it; null: none. Good until the next call.
  const Answer* take(const Call& call, const Lane& lane, Milliseconds asked_since) {
    while (!answers_.empty() && answers_.front().asked < asked_since) erase(answers_.begin());
    if (answers_.empty()) return nullptr;
    const auto found = by_question_.find(question_of(call));
    if (found == by_question_.end() || found->second->asked < asked_since) return nullptr;
    const Answers::iterator answer = found->second;
    if (answer->lanes.size() >= kMostLanes) {
      erase(answer);
      return nullptr;
    }
    if (!answer->lanes.insert(lane.number).second) return nullptr;
    bytes_ += kLane;
    while (bytes_ > kMost && answers_.begin() != answer) erase(answers_.begin());
    return &*answer;
  }
  void clear() {
    by_question_.clear();
    answers_.clear();
    bytes_ = 0;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  using Answers = std::list<Answer>;

  static constexpr std::size_t kLane = 48;  // what a set takes for one

  static std::size_t size_of(const Answer& answer) {
    return sizeof(Answer) + 2 * answer.question.size() + answer.body.size() +
           kLane * answer.lanes.size();
  }
  void erase(Answers::iterator answer) {
    bytes_ -= size_of(*answer);
    by_question_.erase(answer->question);
    answers_.erase(answer);
  }

  Answers answers_;  // in the order in which they came
  std::map<std::string, Answers::iterator, std::less<>> by_question_;
  std::size_t bytes_ = 0;
};

}  // namespace proxy
