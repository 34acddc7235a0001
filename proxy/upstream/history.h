// Which kinds of calls were answered lately. What is remembered has a bound, and where it is
// reached the oldest of the user with the most is forgotten, so that nobody's questions make the
// gate forget what it knows for others.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <set>
#include <utility>

#include <sys/types.h>

#include "proxy/upstream/topic.h"

namespace proxy {

class History {
 public:
  static constexpr std::size_t kMost = 8192;
  static constexpr Milliseconds kLongest{300000};

  // A call of `uid` was answered.
  void add(Kind& kind, uid_t uid, Milliseconds now) {
    if (kind.answered) remove(kind);
    kind.answered = now;
    ++kind.topic.known;
    kind.remembered_for = uid;
    auto& list = resized(uid, 1);
    kind.remembered = list.insert(list.end(), &kind);
    ++count_;
  }
  void remove(Kind& kind) {
    kind.answered.reset();
    --kind.topic.known;
    resized(kind.remembered_for, -1).erase(kind.remembered);
    if (lists_.at(kind.remembered_for).empty()) lists_.erase(kind.remembered_for);
    --count_;
  }
  // One that is to be removed; null: there is none.
  [[nodiscard]] Kind* excess() const {
    return count_ <= kMost ? nullptr : lists_.at(sizes_.rbegin()->second).front();
  }
  [[nodiscard]] Kind* outdated(Milliseconds now) const {
    for (const auto& [uid, list] : lists_) {
      if (now - *list.front()->answered >= kLongest) return list.front();
    }
    return nullptr;
  }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  std::list<Kind*>& resized(uid_t uid, int by) {
    auto& list = lists_[uid];
    sizes_.erase({list.size(), uid});
    const std::size_t size = by > 0 ? list.size() + 1 : list.size() - 1;
    if (size > 0) sizes_.emplace(size, uid);
    return list;
  }

  std::map<uid_t, std::list<Kind*>> lists_;  // of each the oldest first
  std::set<std::pair<std::size_t, uid_t>> sizes_;
  std::size_t count_ = 0;
};

}  // namespace proxy
