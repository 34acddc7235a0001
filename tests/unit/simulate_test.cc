// A simulated gate keeps its promises among the faults of 20 seeds, and a seed is the same run each
// time; build/simulate and CI run many more seeds.
#include <cstdint>

#include "tests/simulate/simulation.h"
#include "tests/unit/support/catch.h"

TEST_CASE("simulation: a gate among faults keeps its promises, and a seed is always the same run") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const simulate::Verdict first = simulate::run(seed);
    INFO("seed " << seed << ": " << first.failed_check << ": " << first.what);
    REQUIRE(first.failed_check.empty());
    CHECK(first.lines > 100);
    CHECK(simulate::run(seed).hash == first.hash);
  }
}
