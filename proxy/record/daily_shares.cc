#include "proxy/record/daily_shares.h"

#include <algorithm>

namespace proxy {
namespace {

using tunnel::io::Milliseconds;

constexpr Milliseconds kDay = std::chrono::hours(24);
constexpr uid_t kOthers = static_cast<uid_t>(-1);  // is no uid

}  // namespace

DailyShares::Taken DailyShares::take(uid_t uid, std::size_t bytes, bool matters, Milliseconds now) {
  const double most = static_cast<double>(a_day_) / 2;
  Share& share = share_of(uid, now);
  const double passed = static_cast<double>((now - share.at).count());
  share.left = std::min(most, share.left + most * passed / static_cast<double>(kDay.count()));
  share.at = now;
  if (share.left > most / 2) share.spent = false;
  const double rest = share.left - static_cast<double>(bytes);
  if (rest >= (matters ? 0 : most / 8)) {
    share.left = rest;
    return Taken::yes;
  }
  count(uid);
  if (share.spent) return Taken::no;
  share.spent = true;
  return Taken::no_more;
}

DailyShares::Share& DailyShares::share_of(uid_t uid, Milliseconds now) {
  const auto found = shares_.find(uid);
  if (found != shares_.end()) return found->second;
  if (shares_.size() >= kMostUsers) forget(now);
  const bool full = shares_.size() >= kMostUsers;
  const Share fresh{static_cast<double>(a_day_) / 2, now, false};
  return shares_.try_emplace(full ? kOthers : uid, fresh).first->second;
}

// A share that is full is as good as a new one.
void DailyShares::forget(Milliseconds now) {
  const double most = static_cast<double>(a_day_) / 2;
  std::erase_if(shares_, [&](const auto& entry) {
    const double passed = static_cast<double>((now - entry.second.at).count());
    return entry.second.left + most * passed / static_cast<double>(kDay.count()) >= most;
  });
}

void DailyShares::count(uid_t uid) {
  const auto found = dropped_.find(uid);
  if (found != dropped_.end() || dropped_.size() < kMostCounted) {
    ++dropped_[uid];
  } else {
    ++dropped_[std::nullopt];
  }
}

}  // namespace proxy
