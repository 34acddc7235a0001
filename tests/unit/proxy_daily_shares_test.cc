// Records about one user take a bounded part of a disk in a day, and hide nobody else's.
#include <string>

#include "proxy/record/bounded_log.h"
#include "proxy/record/daily_shares.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using proxy::BoundedLog;
using proxy::DailyShares;
using proxy::Level;
using tunnel::io::Milliseconds;
using Taken = DailyShares::Taken;

namespace {

constexpr Milliseconds kHour = std::chrono::hours(1);

std::uint64_t take_all(DailyShares& shares, uid_t uid, Milliseconds now, bool matters = false) {
  std::uint64_t taken = 0;
  while (shares.take(uid, 100, matters, now) == Taken::yes) taken += 100;
  return taken;
}

}  // namespace

TEST_CASE("a share is bounded in a day, and opens have more of it", "[log]") {
  DailyShares shares(16000);
  CHECK(take_all(shares, 7, Milliseconds(0)) == 7000);
  CHECK(take_all(shares, 7, Milliseconds(0), true) == 1000);
  CHECK(take_all(shares, 8, Milliseconds(0)) == 7000);
  std::uint64_t day = 0;
  for (int hour = 1; hour <= 24; ++hour) day += take_all(shares, 7, hour * kHour, true);
  CHECK(day <= 8000);
  CHECK(day >= 7000);
}

TEST_CASE("that a share is spent is said once, until half of it is there again", "[log]") {
  DailyShares shares(16000);
  take_all(shares, 7, Milliseconds(0));
  CHECK(shares.take(7, 100, false, kHour) == Taken::yes);
  take_all(shares, 7, kHour);
  CHECK(shares.take(7, 100, false, kHour) == Taken::no);
  CHECK(shares.take(7, 100, false, 20 * kHour) == Taken::yes);
  std::uint64_t said = 0;
  for (int i = 0; i < 200; ++i) said += shares.take(7, 100, false, 20 * kHour) == Taken::no_more;
  CHECK(said == 1);
}

TEST_CASE("users whose drops are counted, and whose shares are kept, are bounded", "[log]") {
  DailyShares shares(16000);
  constexpr uid_t kUsers = 10000;
  for (uid_t uid = 0; uid < kUsers; ++uid) shares.take(uid, 9000, false, Milliseconds(0));
  const auto& dropped = shares.dropped();
  CHECK(dropped.size() == DailyShares::kMostCounted + 1);
  CHECK(dropped.at(0) == 1);
  CHECK(dropped.at(std::nullopt) == kUsers - DailyShares::kMostCounted);
}

TEST_CASE("a log drops what one user is too much, and counts it", "[log]") {
  tunnel::io::Clock clock;
  test::MemoryLog kept;
  BoundedLog log(clock, kept, 16000);
  for (int i = 0; i < 1000; ++i) log.line(Level::info, "refused").with("uid", 7).with("i", i);
  CHECK(kept.count("refused") < 200);
  CHECK(kept.count("share-spent of=log uid=7 bytes_a_day=16000") == 1);
  const auto before = kept.count("refused");
  log.line(Level::info, "refused").with("uid", 8);
  CHECK(kept.count("refused") == before + 1);
  for (int i = 0; i < 1000; ++i) log.line(Level::info, "reloaded");
  CHECK(kept.count("reloaded") == 1000);
  CHECK(log.shares().dropped().at(7) == 1000 - before);
  // Nor is it kept back that another share is spent.
  proxy::say_share_spent(log, "audit", 7, DailyShares(5));
  CHECK(kept.count("share-spent of=audit uid=7 bytes_a_day=5") == 1);
  log.set_share(1 << 20);
  clock.advance(std::chrono::hours(6));
  log.line(Level::info, "refused").with("uid", 7);
  CHECK(kept.count("refused") == before + 2);
}
