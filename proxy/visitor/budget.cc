#include "proxy/visitor/budget.h"

#include <algorithm>
#include <utility>

namespace proxy {
namespace {

// What others have left of all, or an equal part of it where that is more.
std::uint64_t part_of(std::uint64_t all, std::uint64_t others, std::size_t parts) {
  return std::max(all - std::min(all, others), all / std::max<std::size_t>(parts, 1));
}

}  // namespace

// Of the whole buffer a quarter is for calls, and half for answers. What is left is for those who
// come when others hold all of that: nobody else is served from it.
struct Budget::Whole {
  std::uint64_t all;
  std::uint64_t calls;
  std::uint64_t answers;
  std::uint64_t answers_at_most;
  std::uint64_t least;  // that each user may hold in any case

  explicit Whole(const conf::Limits& limits)
      : all(limits.buffer.value_or(kUsual)),
        calls(all / 4),
        answers(all / 2),
        answers_at_most(all - calls),
        least(std::min(kLeast, all / 64)) {}
};

std::uint64_t Budget::share_of_answers() const {
  const Whole whole(limits_);
  if (held_.sum() > whole.answers_at_most) return whole.least;
  return std::max(whole.least, whole.answers / std::max<std::size_t>(held_.holders(), 1));
}

bool Budget::answers_are_scarce() const { return held_.sum() > Whole(limits_).answers; }

bool Budget::is_over_share(const User& user, std::uint64_t fraction, bool expected) const {
  const std::uint64_t has = expected ? user.held.sum() : user.unread.sum();
  return answers_are_scarce() && has > share_of_answers() / fraction;
}

// One call of any length can always come to its end.
bool Budget::asks_too_much(const User& user, std::uint64_t fraction) const {
  const std::uint64_t all = Whole(limits_).calls;
  const std::uint64_t share = all / std::max<std::size_t>(asked_.holders(), 1);
  return asked_.sum() > all &&
         user.asked.sum() > std::max(std::uint64_t{2} * limits_.max_call, share) / fraction;
}

Budget::Part::Part(const Budget& budget, User& user)
    : answers(budget, user, *this),
      calls(budget, user, *this),
      unread(budget.clock_, answers, user.unread, &user.expected),
      asked(budget.clock_, calls, user.asked, nullptr) {}

std::uint64_t Budget::Part::Answers::most() const {
  return part_of(budget.limits_.user_buffer, user.held.sum() - part.unread.sum(),
                 user.parts.size());
}

bool Budget::Part::Answers::over_share(std::uint64_t fraction, bool expected) const {
  return budget.is_over_share(user, fraction, expected);
}

std::uint64_t Budget::Part::Calls::most() const {
  const std::uint64_t longest = std::uint64_t{2} * budget.limits_.max_call;
  return std::max(longest, part_of(std::max<std::uint64_t>(budget.limits_.user_buffer, longest),
                                   user.asked.sum() - part.asked.sum(), user.parts.size()));
}

bool Budget::Part::Calls::over_share(std::uint64_t fraction, bool) const {
  return budget.asks_too_much(user, fraction);
}

std::uint32_t Budget::clients(uid_t uid) const {
  const auto user = users_.find(uid);
  return user == users_.end() ? 0 : user->second.clients;
}

std::vector<UserSnapshot> Budget::users() const {
  std::vector<UserSnapshot> out;
  out.reserve(users_.size());
  for (const auto& [uid, user] : users_) {
    out.push_back({uid, user.clients, user.unread.sum(), user.held.sum() + user.asked.sum()});
  }
  return out;
}

BufferSnapshot Budget::buffer() const {
  BufferSnapshot out;
  out.bound = Whole(limits_).all;
  out.held = held_.sum() + asked_.sum();
  out.calls = asked_.sum();
  for (const auto& [uid, user] : users_) {
    out.expected += user.expected.sum();
    if (is_over_share(user, 1, true) || asks_too_much(user, 1)) ++out.users_over_share;
  }
  return out;
}

MemoryUse Budget::memory_use() const {
  MemoryUse out;
  out.users = users_.size();
  out.held = held_.sum() + asked_.sum();
  out.bound = Whole(limits_).all;
  for (const auto& [uid, user] : users_) {
    UserSnapshot one{uid, user.clients, user.unread.sum(), user.held.sum() + user.asked.sum()};
    for (UserSnapshot& larger : out.largest) {
      if (one.held > larger.held) std::swap(one, larger);
    }
  }
  return out;
}

Budget::Stake::Member::Member(Budget& of, uid_t number, const std::string& name)
    : budget(of),
      uid(number),
      target(name),
      user(of.users_.try_emplace(number, of).first->second),
      part(user.parts.try_emplace(name, of, user).first->second) {
  ++user.clients;
  ++part.clients;
}

Budget::Stake::Member::~Member() {
  if (--part.clients == 0) user.parts.erase(target);
  if (--user.clients == 0) budget.users_.erase(uid);
}

Budget::Stake::Stake(Budget& budget, uid_t uid, const std::string& target, Holding& holding)
    : member_(budget, uid, target),
      unread_(
          member_.part.unread, [&holding] { holding.holder_.on_may_answer(); },
          [&holding] { holding.recount(); }),
      asked_(member_.part.asked, [&holding] { holding.holder_.on_may_ask(); }) {}

Budget::Holding::Holding(Budget& budget, uid_t uid, BudgetHolder& holder)
    : budget_(budget),
      uid_(uid),
      holder_(holder),
      stake_(std::make_unique<Stake>(budget, uid, "", *this)),
      entered_(budget.clock_, [this] {
        holder_.on_may_answer();
        holder_.on_may_ask();
      }) {}

void Budget::Holding::enter(const std::string& target) {
  if (stake_->member_.target == target) return;
  auto next = std::make_unique<Stake>(budget_, uid_, target, *this);
  next->unread_.set(stake_->unread_.bytes());
  next->unread_.expect(stake_->unread_.expected());
  next->asked_.set(stake_->asked_.bytes());
  if (stake_->unread_.waits() || stake_->asked_.waits()) {
    entered_.start(tunnel::io::Milliseconds(0));
  }
  stake_ = std::move(next);
}

void Budget::Holding::recount() {
  const std::uint64_t now = holder_.queued();
  recounted_at_ = budget_.clock_.now();
  if (now < unread() || unread() == 0) read_at_ = recounted_at_;
  stake_->unread_.set(now);
}

// What others have read since they last wrote is not yet counted.
bool Budget::Holding::has_room(std::uint64_t bytes) {
  Quota& unread = stake_->member_.part.unread;
  if (unread.has_room(bytes)) return true;
  unread.recount();
  return unread.has_room(bytes);
}

}  // namespace proxy
