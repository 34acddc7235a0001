// A ping of a xend measures its stages and answers, and says whether it was unreachable, silent or
// answered wrongly.
#include "conf/target.h"
#include "proxy/command/ping_hints.h"
#include "proxy/command/ping_text.h"
#include "proxy/probe/xend_ping.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xend_scene.h"

namespace {

class Scene {
 public:
  explicit Scene(const std::string& uri = "///run/rain") {
    auto made = conf::make_target("rain", uri, {});
    REQUIRE(made.ok());
    target = std::move(made).value();
  }

  const proxy::PingReport& run(std::uint32_t count = 1) {
    ping = std::make_unique<proxy::XendPing>(
        clock, xend, target, count, [this] { return proxy::Nanoseconds(++ticks); },
        [this] { ++done; });
    ping->start();
    test::settle(clock);
    if (done == 0) {
      clock.advance(clock.now() + target.call_timeout);
      test::settle(clock);
    }
    CHECK(done == 1);
    CHECK(xend.connections() == 0);
    return ping->report();
  }

  tunnel::io::Clock clock;
  test::ScriptedXend xend{clock};
  conf::TargetConfig target;
  std::unique_ptr<proxy::XendPing> ping;
  std::int64_t ticks = 0;
  int done = 0;
};

}  // namespace

TEST_CASE("a ping of a xend measures its stages and answers", "[proxy][xend]") {
  Scene scene("http://[::1]:81/");
  const proxy::PingReport& report = scene.run(3);
  CHECK_FALSE(report.failure);
  CHECK(report.calls.size() == 3);
  REQUIRE(report.stages.size() == 1);
  CHECK(report.stages[0].name == "call");
  CHECK(scene.xend.got.size() == 3);
  for (const std::string& got : scene.xend.got) {
    CHECK(got.starts_with("GET /xend/node/ HTTP/1.1\r\nHost: [::1]:81\r\n"));
  }
  const std::string text = proxy::ping_text(scene.target, report);
  CHECK(text.find("a legacy xend\n3 calls: ") != std::string::npos);
  CHECK(proxy::ping_json(scene.target, report).find("\"transport\": \"tcp\"") != std::string::npos);
}

TEST_CASE("a ping of a xend says what failed", "[proxy][xend]") {
  Scene down;
  down.xend.down = true;
  const proxy::PingReport& unreached = down.run();
  REQUIRE(unreached.failure);
  CHECK(unreached.failure->stage == "look-up");
  CHECK(proxy::ping_text(down.target, unreached).find("failed to find the host's address: ") !=
        std::string::npos);

  Scene silent;
  silent.xend.silent = true;
  const proxy::PingReport& mute = silent.run();
  REQUIRE(mute.failure);
  CHECK(mute.failure->stage == "call");
  CHECK(mute.failure->reason.kind == tunnel::io::Reason::Kind::timeout);
  CHECK(proxy::hints_for(silent.target, mute.failure->reason)[0].find("another service") !=
        std::string::npos);

  Scene wrong;
  wrong.xend.answer = test::says("<html>");
  REQUIRE(wrong.run().failure);
  CHECK(wrong.ping->report().failure->reason.text == "it answers 200, and no S-expression");

  Scene missing;
  missing.xend.answer = test::says("(xend.err)", "404 Not Found");
  REQUIRE(missing.run().failure);
  CHECK(missing.ping->report().failure->reason.text == "it answers 404");
}
