// Records that repeat become a few lines that count all of them, and a record that differs in what
// matters is written at once.
#include "proxy/record/repeats.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

namespace {

using proxy::Level;
using proxy::Repeats;
using tunnel::io::Milliseconds;

// What a log at the default level would have.
struct Shown : proxy::Log {
  void write(const proxy::Record& record) override {
    (record.level == Level::debug ? hidden : lines).push_back(to_text(record));
  }
  std::vector<std::string> lines;
  std::vector<std::string> hidden;
};

struct Day {
  tunnel::io::Clock clock;
  Shown log;
  Repeats repeats{clock, log};

  void visit(std::int64_t client, std::int64_t uid = 1000) {
    repeats.audit(Level::info, "open").with("client", client).with("uid", uid);
    repeats.audit(Level::info, "close").with("client", client).with("uid", uid).with("ms", client);
  }
  void pass(Milliseconds time) { clock.advance(clock.now() + time); }
};

}  // namespace

TEST_CASE("a day of an exporter is a few lines, which count everything") {
  Day day;
  constexpr std::int64_t kVisits = 24 * 60 * 4;
  for (std::int64_t i = 1; i <= kVisits; ++i) {
    day.visit(i);
    day.pass(Milliseconds(15000));
  }
  day.repeats.say();
  CHECK(day.log.lines.size() <= 100);
  CHECK(day.log.lines[0] == "open client=1 uid=1000");
  CHECK(day.log.lines[1] == "close client=1 uid=1000 ms=1");
  std::int64_t opens = 0;
  for (const std::string& line : day.log.lines) {
    if (line.starts_with("open ")) ++opens;
    const std::string counted = "repeated record=open times=";
    if (line.starts_with(counted)) opens += std::strtoll(&line[counted.size()], nullptr, 10);
  }
  CHECK(opens == kVisits);
  CHECK(day.log.lines.size() + day.log.hidden.size() > 2 * kVisits);
}

TEST_CASE("what the audit has left out before each is added up") {
  Day day;
  const auto open = [&](std::int64_t suppressed) {
    auto line = day.repeats.audit(Level::info, "open");
    line.with("uid", 1000);
    if (suppressed > 0) line.with("suppressed", suppressed);
  };
  for (const int suppressed : {3, 0, 40, 5}) open(suppressed);
  day.repeats.say();
  CHECK(day.log.lines ==
        std::vector<std::string>{"open uid=1000 suppressed=3",
                                 "repeated record=open times=3 uid=1000 suppressed=45"});
}

TEST_CASE("what differs in what matters is said at once") {
  Day day;
  day.visit(1);
  day.visit(2, 1001);
  day.repeats.audit(Level::warning, "refused").with("uid", 1000).with("reason", "one");
  day.repeats.audit(Level::warning, "refused").with("uid", 1000).with("reason", "another");
  CHECK(day.log.lines.size() == 6);
  day.repeats.audit(Level::warning, "refused").with("uid", 1000).with("reason", "one");
  CHECK(day.log.lines.size() == 6);
  day.repeats.say();
  REQUIRE(day.log.lines.size() == 7);
  CHECK(day.log.lines[6] == "repeated record=refused times=1 uid=1000 reason=one");
}

TEST_CASE("what the gate says of itself is not counted") {
  Day day;
  for (int i = 0; i < 2; ++i) day.repeats.line(Level::info, "listen").with("socket", "/s");
  CHECK(day.log.lines.size() == 2);
  CHECK_FALSE(day.clock.next());
}

TEST_CASE("more than can be remembered is said as it comes") {
  Day day;
  const auto all = static_cast<std::int64_t>(Repeats::kMost) + 5;
  for (int i = 0; i < 2; ++i) {
    for (std::int64_t uid = 0; uid < all; ++uid) {
      day.repeats.audit(Level::info, "open").with("uid", uid);
    }
  }
  CHECK(day.log.lines.size() == Repeats::kMost + 10);
}
