// A client's place at a target: the pool and its lane there, what the policy grants, and the share
// of the rule that grants it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "policy/access.h"
#include "policy/error.h"
#include "policy/filter.h"
#include "proxy/client/opening.h"
#include "proxy/record/counters.h"
#include "proxy/record/log.h"
#include "proxy/upstream/call.h"
#include "proxy/upstream/pool.h"
#include "proxy/visitor/shares.h"

namespace proxy {

class Seat {
 public:
  struct Refused {
    Refusal why;
    policy::Fault fault;
  };

  // The user of the lane outlives it. `may_take` as ShareUse has it.
  Seat(PoolUser& user, uid_t uid, std::function<void()> may_take)
      : lane_(user, uid), share_(std::move(may_take)) {}

  // The pool as long as it has the client, or null.
  [[nodiscard]] Pool* pool() const { return pool_; }
  [[nodiscard]] Lane& lane() { return lane_; }
  [[nodiscard]] const Lane& lane() const { return lane_; }
  [[nodiscard]] ShareUse& share() { return share_; }
  // "-": none.
  [[nodiscard]] std::string_view target() const;
  // With the target's name, and the rule where one grants it.
  void describe(Line& line) const;

  // Sits down at `pool`, which may be null, under the rule of the candidate; `share` is that rule's
  // for the user. The pool does not know of it before attach().
  std::optional<Refused> take(const Candidate& candidate, Pool* pool, Share* share);
  [[nodiscard]] bool attach() { return pool_->attach(lane_); }
  void wake() {
    if (pool_ != nullptr) pool_->wake(lane_);
  }
  // A new grant of the same pool; the share is left.
  void regrant(const policy::Grant& grant, Share* share);
  // Keeps the pool, and nothing of the rules, which are about to go.
  void forget_rules();
  void leave_share();
  // The pool, if it knows of the client, is told.
  void leave();
  // The pool does not know of the client.
  void forget_pool() { pool_ = nullptr; }
  void forget();

  // Why a call may not pass that the filter lets pass.
  [[nodiscard]] std::optional<policy::Fault> forbidden(const policy::Verdict& verdict) const;
  [[nodiscard]] bool pretends(const policy::Verdict& verdict) const;
  // Whether events that it has subscribed to would be lost with `next`.
  [[nodiscard]] bool loses_events(const policy::Grant& next) const;

 private:
  void use(Share& share);

  Pool* pool_ = nullptr;
  policy::Grant grant_;
  Lane lane_;
  ShareUse share_;  // under the rule of grant_
};

}  // namespace proxy
