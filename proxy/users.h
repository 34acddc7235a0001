// What the clients of one user hold together: connections, bytes that wait for them to be read, and
// what a rule of the policy lets them use up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <sys/types.h>

#include "policy/rules.h"
#include "tunnel/io/clock.h"

namespace proxy {

class Client;

struct User {
  // `look_again` is called for a user when its timer fires.
  User(uid_t number, tunnel::io::Clock& clock, const std::function<void(User&)>& look_again)
      : uid(number), look(clock, [this, look_again] { look_again(*this); }) {}

  const uid_t uid;
  std::uint32_t clients = 0;
  std::uint64_t buffered = 0;  // bytes of answers that wait to be read
  std::set<Client*> writing;   // clients with a share in `buffered`
  std::set<Client*> held;      // clients that wait until it is small enough
  tunnel::io::Timer look;      // while there are any, since nothing tells that bytes were read
  std::uint64_t asking = 0;    // bytes of calls that have come and are not answered
  std::set<Client*> unheard;   // clients that are not read from until it is small enough
};

class Users {
 public:
  // The clock outlives it.
  Users(tunnel::io::Clock& clock, std::function<void(User&)> look_again)
      : clock_(clock), look_again_(std::move(look_again)) {}

  // The entry lives as long as its user has clients.
  User& arrive(uid_t uid) {
    User& user = users_.try_emplace(uid, uid, clock_, look_again_).first->second;
    ++user.clients;
    return user;
  }
  [[nodiscard]] const std::map<uid_t, User>& all() const { return users_; }
  void leave(User& user) {
    if (--user.clients == 0) users_.erase(user.uid);
  }

 private:
  tunnel::io::Clock& clock_;
  const std::function<void(User&)> look_again_;
  std::map<uid_t, User> users_;
};

// One user's share under one rule. Calls are paid for from a bucket that fills by itself and holds
// as much as comes in one second; who owes waits.
class Share {
 public:
  using Milliseconds = tunnel::io::Milliseconds;

  explicit Share(const policy::RuleLimits& limits, Milliseconds now)
      : limits_(limits), credit_(full()), at_(now) {}

  [[nodiscard]] const policy::RuleLimits& limits() const { return limits_; }
  [[nodiscard]] bool has_room() const { return limits_.clients == 0 || clients < limits_.clients; }
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
    return clients == 0 && credit_ >= full();
  }

  std::uint32_t clients = 0;

 private:
  // A thousandth of a call is what a rate of one brings in a millisecond.
  static constexpr std::int64_t kCall = 1000;

  [[nodiscard]] std::int64_t full() const { return kCall * limits_.calls_per_second; }
  void fill(Milliseconds now) {
    const Milliseconds passed = std::min(now - at_, Milliseconds(3600000));
    at_ = now;
    credit_ = std::min(full(), credit_ + passed.count() * limits_.calls_per_second);
  }

  policy::RuleLimits limits_;
  std::int64_t credit_;
  Milliseconds at_;
};

class Shares {
 public:
  // Good as long as it has clients. Whoever comes back finds what they left, until that has filled
  // up again.
  Share& take(const policy::AccessRule& rule, uid_t uid, tunnel::io::Milliseconds now) {
    if (shares_.size() >= sweep_at_) sweep(now);
    return shares_.try_emplace({&rule, uid}, rule.limits, now).first->second;
  }

 private:
  void sweep(tunnel::io::Milliseconds now) {
    for (auto entry = shares_.begin(); entry != shares_.end();) {
      entry = entry->second.unused(now) ? shares_.erase(entry) : std::next(entry);
    }
    sweep_at_ = std::max<std::size_t>(64, 2 * shares_.size());
  }

  std::map<std::pair<const policy::AccessRule*, uid_t>, Share> shares_;
  std::size_t sweep_at_ = 64;
};

}  // namespace proxy
