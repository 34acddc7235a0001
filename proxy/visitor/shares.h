// What a rule of the policy lets the clients of one user use up together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <utility>

#include <sys/types.h>

#include "policy/rules.h"
#include "tunnel/io/clock.h"

namespace proxy {

class ShareUse;

// One user's share under one rule. Calls are paid for from a bucket that fills by itself and holds
// as much as comes in one second; who owes waits.
class Share {
 public:
  using Milliseconds = tunnel::io::Milliseconds;

  // The clock outlives it.
  Share(const policy::RuleLimits& limits, tunnel::io::Clock& clock)
      : limits_(limits), credit_(full()), at_(clock.now()), wakes_(clock, [this] { wake(); }) {}
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share() = default;

  [[nodiscard]] const policy::RuleLimits& limits() const { return limits_; }
  [[nodiscard]] bool has_room() const { return limits_.clients == 0 || clients_ < limits_.clients; }
  void spend(Milliseconds now) {
    if (limits_.calls_per_second == 0) return;
    fill(now);
    credit_ -= kCall;
  }
  // How long until the next call may be taken.
  [[nodiscard]] Milliseconds wait(Milliseconds now) {
    if (limits_.calls_per_second == 0) return Milliseconds(0);
    fill(now);
    if (credit_ >= 0) return Milliseconds(0);
    const std::int64_t rate = limits_.calls_per_second;
    return Milliseconds((-credit_ + rate - 1) / rate);
  }
  [[nodiscard]] bool unused(Milliseconds now) {
    fill(now);
    return clients_ == 0 && credit_ >= full();
  }

 private:
  friend class ShareUse;

  // A thousandth of a call is what a rate of one brings in a millisecond.
  static constexpr std::int64_t kCall = 1000;

  [[nodiscard]] bool queue_is_full() const { return limits_.queue != 0 && calls_ >= limits_.queue; }
  void give_back(std::uint32_t calls) {
    calls_ -= calls;
    if (!waiting_.empty() && !queue_is_full()) wakes_.start(Milliseconds(0));
  }
  inline void wake();
  [[nodiscard]] std::int64_t full() const { return kCall * limits_.calls_per_second; }
  void fill(Milliseconds now) {
    const Milliseconds passed = std::min(now - at_, Milliseconds(3600000));
    at_ = now;
    credit_ = std::min(full(), credit_ + passed.count() * limits_.calls_per_second);
  }

  policy::RuleLimits limits_;
  std::uint32_t clients_ = 0;
  std::uint32_t calls_ = 0;  // taken and not yet answered
  std::list<ShareUse*> waiting_;
  std::int64_t credit_;
  Milliseconds at_;
  tunnel::io::Timer wakes_;
};

// One client's use of a share, or of none.
class ShareUse {
 public:
  // `may_take` is called from the clock, once after each must_wait_to_take() that was true.
  explicit ShareUse(std::function<void()> may_take) : may_take_(std::move(may_take)) {}
  ShareUse(const ShareUse&) = delete;
  ShareUse& operator=(const ShareUse&) = delete;
  ~ShareUse() { leave(); }

  // The share outlives the use, or leave(). The client's calls are under it from now on.
  void join(Share& share) {
    leave();
    share_ = &share;
    ++share.clients_;
    share.calls_ += calls_;
  }
  void leave() {
    if (share_ == nullptr) return;
    if (std::exchange(waits_, false)) share_->waiting_.remove(this);
    --share_->clients_;
    std::exchange(share_, nullptr)->give_back(calls_);
  }

  // The clients of the user have as many calls that are not answered as they may have together.
  [[nodiscard]] bool must_wait_to_take() {
    if (share_ == nullptr || !share_->queue_is_full()) return false;
    wait();
    return true;
  }
  // For a client that has joined in a reload, in which others of its user join after it. True:
  // may_take() follows once they have.
  [[nodiscard]] bool must_wait_for_others() {
    if (share_ == nullptr || share_->limits().queue == 0) return false;
    wait();
    share_->wakes_.start(tunnel::io::Milliseconds(0));
    return true;
  }
  void took() {
    ++calls_;
    if (share_ != nullptr) ++share_->calls_;
  }
  void answered() {
    --calls_;
    if (share_ != nullptr) share_->give_back(1);
  }

  [[nodiscard]] const policy::RuleLimits& limits() const {
    static constexpr policy::RuleLimits kNone{};
    return share_ == nullptr ? kNone : share_->limits();
  }
  void spend(tunnel::io::Milliseconds now) {
    if (share_ != nullptr) share_->spend(now);
  }
  [[nodiscard]] tunnel::io::Milliseconds wait(tunnel::io::Milliseconds now) {
    return share_ == nullptr ? tunnel::io::Milliseconds(0) : share_->wait(now);
  }

 private:
  friend class Share;

  void wait() {
    if (!std::exchange(waits_, true)) share_->waiting_.push_back(this);
  }

  const std::function<void()> may_take_;
  Share* share_ = nullptr;
  std::uint32_t calls_ = 0;
  bool waits_ = false;
};

// Whoever has nothing to take lets the next one go on.
inline void Share::wake() {
  for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
    if (queue_is_full()) return;
    ShareUse& use = *waiting_.front();
    waiting_.pop_front();
    use.waits_ = false;
    use.may_take_();
  }
}

class Shares {
 public:
  // The clock outlives it.
  explicit Shares(tunnel::io::Clock& clock) : clock_(&clock) {}

  // Good as long as it has clients. Whoever comes back finds what they left, until that has filled
  // up again.
  Share& take(const policy::AccessRule& rule, uid_t uid) {
    if (shares_.size() >= sweep_at_) sweep(clock_->now());
    return shares_.try_emplace({&rule, uid}, rule.limits, *clock_).first->second;
  }

 private:
  void sweep(tunnel::io::Milliseconds now) {
    for (auto entry = shares_.begin(); entry != shares_.end();) {
      entry = entry->second.unused(now) ? shares_.erase(entry) : std::next(entry);
    }
    sweep_at_ = std::max<std::size_t>(64, 2 * shares_.size());
  }

  tunnel::io::Clock* clock_;
  std::map<std::pair<const policy::AccessRule*, uid_t>, Share> shares_;
  std::size_t sweep_at_ = 64;
};

}  // namespace proxy
