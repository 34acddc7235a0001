// Memory for long replies: what is kept of it, for whom, and for how long.
#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/upstream/slabs.h"
#include "tests/unit/support/catch.h"

namespace {

using proxy::Slabs;
using tunnel::io::Clock;

constexpr std::size_t kMega = std::size_t{1} << 20;

TEST_CASE("a block is used again by what is about as long", "[proxy][slabs]") {
  Clock clock;
  Slabs slabs(clock);
  const std::uint8_t* first = slabs.take(4'000'000).get();
  CHECK(slabs.kept() >= 4'000'000);
  CHECK(slabs.kept() <= 4'000'000 * 9 / 8);
  SECTION("a little longer or shorter") {
    CHECK(slabs.take(4'000'040).get() == first);
    CHECK(slabs.take(3'999'000).get() == first);
  }
  SECTION("not by what is far shorter") {
    const auto second = slabs.take(100'000);
    CHECK(slabs.kept() >= 4'000'000);
    CHECK(second.get() != first);
  }
  SECTION("not by what is longer") {
    const auto second = slabs.take(6'000'000);
    CHECK(slabs.kept() >= 4'000'000);
  }
  SECTION("not by two at a time") {
    const auto again = slabs.take(4'000'000);
    CHECK(slabs.kept() == 0);
    CHECK(slabs.take(4'000'000).get() != again.get());
  }
}

TEST_CASE("blocks that nobody uses are kept within a bound", "[proxy][slabs]") {
  Clock clock;
  Slabs slabs(clock);
  SECTION("of all") {
    std::vector<std::shared_ptr<std::uint8_t[]>> many(40);
    for (auto& one : many) one = slabs.take(kMega);
    many.clear();
    CHECK(slabs.kept() == Slabs::kMostKept);
  }
  SECTION("of one") {
    slabs.take(Slabs::kLongestKept + 1);
    CHECK(slabs.kept() == 0);
  }
}

TEST_CASE("a block goes back to the system once nobody has used it for a while", "[proxy][slabs]") {
  Clock clock;
  Slabs slabs(clock);
  slabs.take(kMega);
  SECTION("unused") {
    clock.advance(Slabs::kIdle);
    CHECK(slabs.kept() == kMega);
    clock.advance(2 * Slabs::kIdle);
    CHECK(slabs.kept() == 0);
    CHECK_FALSE(clock.next());
  }
  SECTION("used meanwhile") {
    for (int i = 1; i < 6; ++i) {
      clock.advance(i * Slabs::kIdle);
      slabs.take(kMega);
      CHECK(slabs.kept() == kMega);
    }
  }
}

TEST_CASE("a block may outlive what it came from", "[proxy][slabs]") {
  Clock clock;
  std::shared_ptr<std::uint8_t[]> block;
  {
    Slabs slabs(clock);
    block = slabs.take(kMega);
  }
  block[kMega - 1] = 1;
  block.reset();
}

}  // namespace
