#include "proxy/visitor/turns.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace proxy {

Turns::~Turns() { CHECK(users_.empty()); }

void Turns::begin() {
  ++turn_;
  bool again = false;
  for (auto& [uid, user] : users_) {
    refill(user);
    // Whoever begins to wait again meanwhile is not called a second time.
    for (std::size_t left = user.waiting.size(); left > 0 && user.left > 0; --left) {
      if (user.waiting.empty()) break;
      Part& part = *user.waiting.front();
      user.waiting.pop_front();
      part.waits_ = false;
      part.go_on_();
    }
    again = again || !user.waiting.empty();
  }
  if (again) next_.start(tunnel::io::Milliseconds(0));
}

void Turns::look() {
  if (clock_.now() == began_) return;
  began_ = clock_.now();
  ++turn_;
}

void Turns::refill(User& user) const {
  const std::int64_t turns = std::min<std::int64_t>(turn_ - std::exchange(user.turn, turn_), 1000);
  user.left = std::min(kOfUser, user.left + turns * kOfUser);
}

Turns::Part::Part(Turns& turns, uid_t uid, std::function<void()> go_on)
    : turns_(turns), uid_(uid), user_(turns.users_[uid]), go_on_(std::move(go_on)) {
  ++user_.parts;
}

Turns::Part::~Part() {
  if (waits_) user_.waiting.remove(this);
  if (--user_.parts == 0) turns_.users_.erase(uid_);
}

bool Turns::Part::must_wait() {
  turns_.look();
  turns_.refill(user_);
  if (std::exchange(turn_, turns_.turn_) != turns_.turn_) left_ = kOfClient;
  if (left_ > 0 && user_.left > 0) return false;
  if (!std::exchange(waits_, true)) user_.waiting.push_back(this);
  if (!turns_.next_.running()) turns_.next_.start(tunnel::io::Milliseconds(0));
  return true;
}

void Turns::Part::spend(std::size_t bytes, tunnel::io::Microseconds took) {
  const auto by_size = static_cast<std::int64_t>(1 + bytes / kMessage);
  const std::int64_t work = std::max<std::int64_t>(by_size, took / kTime);
  left_ -= work;
  user_.left -= work;
}

}  // namespace proxy
