// What the clients of a user may make the gate keep: answers that wait for them to be read, and
// calls that have come and are not answered. Each client holds its part through a Holding.
//
// Clients of one target leave room for those of another, so that a daemon with long answers, or
// with none, holds up nobody who asks another one: once all of a user's bytes are taken, whoever is
// at a target with more than its equal part of them waits, and nobody else.
//
// What all users hold together is bounded by `buffer`. While that is scarce, whoever holds more
// than an equal share of it waits, at whatever target. An answer counts from when its call is sent,
// with as many bytes as are expected of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conf/values.h"
#include "proxy/record/snapshot.h"
#include "proxy/visitor/quota.h"
#include "tunnel/io/clock.h"

namespace proxy {

// A client, as its part of the budget sees it.
class BudgetHolder {
 public:
  virtual ~BudgetHolder() = default;
  // Bytes of answers that its stream has queued now.
  [[nodiscard]] virtual std::uint64_t queued() const = 0;
  // From the clock, after must_wait_to_answer() has said so.
  virtual void on_may_answer() {}
  // From the clock, after must_wait_to_ask() has said so.
  virtual void on_may_ask() {}
};

class Budget {
 public:
  class Holding;

  // Both outlive the budget. The limits may change at any time.
  Budget(tunnel::io::Clock& clock, const conf::Limits& limits) : clock_(clock), limits_(limits) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;
  ~Budget() = default;

  // How many holdings the user has.
  [[nodiscard]] std::uint32_t clients(uid_t uid) const;
  [[nodiscard]] std::vector<UserSnapshot> users() const;
  [[nodiscard]] BufferSnapshot buffer() const;
  // But for the clients. Allocates nothing.
  [[nodiscard]] MemoryUse memory_use() const;

 private:
  // Where nothing else is told.
  static constexpr std::uint64_t kUsual = 1U << 30;
  static constexpr std::uint64_t kLeast = 64U << 10;

  struct Whole;
  struct User;

  // What a user's clients at one target hold. The parts are of all that the user may hold, which is
  // therefore exceeded by no more than itself, and a message for each client.
  struct Part {
    struct Bound : QuotaBound {
      Bound(const Budget& b, const User& u, const Part& p) : budget(b), user(u), part(p) {}

      const Budget& budget;
      const User& user;
      const Part& part;
    };
    struct Answers final : Bound {
      using Bound::Bound;
      [[nodiscard]] std::uint64_t most() const override;
      [[nodiscard]] bool over_share(std::uint64_t fraction, bool expected) const override;
    };
    struct Calls final : Bound {
      using Bound::Bound;
      [[nodiscard]] std::uint64_t most() const override;
      [[nodiscard]] bool over_share(std::uint64_t fraction, bool expected) const override;
    };

    Part(const Budget& budget, User& user);

    std::uint32_t clients = 0;
    const Answers answers;
    const Calls calls;
    Quota unread;
    Quota asked;
  };
  struct User {
    explicit User(Budget& budget) : held(&budget.held_), asked(&budget.asked_) {}

    std::uint32_t clients = 0;
    ByteSum held;  // of answers, at all targets
    ByteSum unread{&held};
    ByteSum expected{&held};
    ByteSum asked;
    std::map<std::string, Part, std::less<>> parts;  // by target, those with clients
  };
  class Stake;

  [[nodiscard]] std::uint64_t share_of_answers() const;
  [[nodiscard]] bool answers_are_scarce() const;
  [[nodiscard]] bool is_over_share(const User& user, std::uint64_t fraction, bool expected) const;
  [[nodiscard]] bool asks_too_much(const User& user, std::uint64_t fraction) const;

  tunnel::io::Clock& clock_;
  const conf::Limits& limits_;
  ByteSum held_;
  ByteSum asked_;
  std::map<uid_t, User> users_;  // those with clients
};

// A client at a target. It goes with all that the client holds.
class Budget::Stake {
 public:
  Stake(Budget& budget, uid_t uid, const std::string& target, Holding& holding);
  Stake(const Stake&) = delete;
  Stake& operator=(const Stake&) = delete;
  ~Stake() = default;

 private:
  friend class Holding;

  // The entries, which go with their last client.
  struct Member {
    Member(Budget& of, uid_t number, const std::string& name);
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    ~Member();

    Budget& budget;
    const uid_t uid;
    const std::string target;
    User& user;
    Part& part;
  };

  const Member member_;  // before the parts, which give back to it
  Quota::Part unread_;
  Quota::Part asked_;
};

// One client's part. Its destruction gives back all that the client holds.
class Budget::Holding {
 public:
  // The budget and the holder outlive it. It is at no target.
  Holding(Budget& budget, uid_t uid, BudgetHolder& holder);
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;
  ~Holding() = default;

  // What it holds counts among the user's at that target from now on.
  void enter(const std::string& target);

  // Counts what the stream has queued now. Called after each write.
  void recount();
  [[nodiscard]] std::uint64_t unread() const { return stake_->unread_.bytes(); }
  // How many bytes of answers its calls at the daemon are likely to bring.
  void expect(std::uint64_t bytes) { stake_->unread_.expect(bytes); }
  [[nodiscard]] tunnel::io::Milliseconds recounted_at() const { return recounted_at_; }
  // When the client was last seen to have read something, or began to have something to read.
  [[nodiscard]] tunnel::io::Milliseconds read_at() const { return read_at_; }
  // Whether the user may leave so many bytes more unread.
  [[nodiscard]] bool has_room(std::uint64_t bytes);
  // The user leaves more unread than it may.
  [[nodiscard]] bool full() const { return stake_->member_.part.unread.full(); }
  // True when full(): on_may_answer() follows.
  [[nodiscard]] bool must_wait_to_answer() { return stake_->unread_.must_wait(); }

  // How many bytes of calls of this client there are.
  void set_asked(std::uint64_t bytes) { stake_->asked_.set(bytes); }
  // True when the user's calls are too many bytes: on_may_ask() follows.
  [[nodiscard]] bool must_wait_to_ask() { return stake_->asked_.must_wait(); }

 private:
  friend class Stake;

  Budget& budget_;
  const uid_t uid_;
  BudgetHolder& holder_;
  std::unique_ptr<Stake> stake_;
  tunnel::io::Timer entered_;  // after a wait somewhere else
  tunnel::io::Milliseconds recounted_at_{0};
  tunnel::io::Milliseconds read_at_{0};
};

}  // namespace proxy
