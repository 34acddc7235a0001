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

// One call of any length can always come to its end.
Budget::Part::Part(const Budget& budget, User& user)
    : unread(
          budget.clock_,
          [this, &user, &limits = budget.limits_] {
            return part_of(limits.user_buffer, user.unread - unread.sum(), user.parts.size());
          },
          user.unread),
      asked(
          budget.clock_,
          [this, &user, &limits = budget.limits_] {
            const std::uint64_t longest = std::uint64_t{2} * limits.max_call;
            return std::max(longest, part_of(std::max<std::uint64_t>(limits.user_buffer, longest),
                                             user.asked - asked.sum(), user.parts.size()));
          },
          user.asked) {}

std::uint32_t Budget::clients(uid_t uid) const {
  const auto user = users_.find(uid);
  return user == users_.end() ? 0 : user->second.clients;
}

std::vector<UserSnapshot> Budget::users() const {
  std::vector<UserSnapshot> out;
  out.reserve(users_.size());
  for (const auto& [uid, user] : users_) out.push_back({uid, user.clients, user.unread});
  return out;
}

Budget::Stake::Member::Member(Budget& of, uid_t number, const std::string& name)
    : budget(of),
      uid(number),
      target(name),
      user(of.users_[number]),
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
