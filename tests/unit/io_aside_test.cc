// The loop goes on while a thread works for it, and ends without waiting for that work.
#include <memory>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/gateway.h"
#include "tests/unit/support/io.h"
#include "tunnel/io/aside.h"

namespace test {
namespace {

using tunnel::io::Aside;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Timer;

TEST_CASE("the loop goes on while something works beside it", "[io]") {
  Loop loop;
  Aside aside(loop);
  const auto gateway = std::make_shared<Gateway>();
  int fired = 0;
  bool done = false;
  Timer timer(loop.clock(), [&] {
    ++fired;
    gateway->let();
  });
  aside.run([gateway] { gateway->pass(); }, [&] { done = true; });
  timer.start(Milliseconds(1));
  run_until(loop, [&] { return done; });
  CHECK(fired == 1);
}

TEST_CASE("nobody waits for the end of what works beside the loop", "[io]") {
  const auto gateway = std::make_shared<Gateway>();
  {
    Loop loop;
    Aside aside(loop);
    aside.run([gateway] { gateway->pass(); }, [] { FAIL("it is not there any more"); });
    loop.run();
  }
  gateway->let();
}

}  // namespace
}  // namespace test
