// Those who wait to be taken in, in turn by user: whoever comes with a crowd waits behind their own
// crowd and not before others. How many wait is bounded for each user and for all; when all places
// are taken, the user who has the most of them loses one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <utility>

#include <sys/types.h>

namespace tunnel::io {

// Whom somebody counts as while they wait to be taken, and how many of theirs may wait.
struct Standing {
  uid_t user;
  std::size_t most_waiting;
};

template <typename Newcomer>
class Newcomers {
 public:
  explicit Newcomers(std::size_t most) : most_(most) {}

  // Of its user no more than `most_of_user` may wait. What comes back is turned away: this one, or
  // the last of the user of whom most wait.
  std::optional<std::pair<uid_t, Newcomer>> add(uid_t user, Newcomer one,
                                                std::size_t most_of_user) {
    const auto found = users_.find(user);
    const std::size_t has = found == users_.end() ? 0 : found->second.size();
    if (has >= most_of_user) return std::pair(user, std::move(one));
    if (has == 0) turns_.push_back(user);
    users_[user].push_back(std::move(one));
    if (++size_ <= most_) return std::nullopt;
    const auto by_size = [](const auto& a, const auto& b) {
      return a.second.size() < b.second.size();
    };
    const auto largest = std::max_element(users_.begin(), users_.end(), by_size);
    std::pair out(largest->first, std::move(largest->second.back()));
    largest->second.pop_back();
    --size_;
    if (largest->second.empty()) {
      turns_.remove(largest->first);
      users_.erase(largest);
    }
    return out;
  }

  // The first of the user whose turn it is; nothing: nobody waits.
  std::optional<Newcomer> next() {
    if (turns_.empty()) return std::nullopt;
    const auto user = users_.find(turns_.front());
    std::optional<Newcomer> out(std::move(user->second.front()));
    user->second.pop_front();
    --size_;
    if (user->second.empty()) {
      users_.erase(user);
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    return out;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  const std::size_t most_;
  std::size_t size_ = 0;
  std::map<uid_t, std::list<Newcomer>> users_;  // none has nobody waiting
  std::list<uid_t> turns_;
};

}  // namespace tunnel::io
