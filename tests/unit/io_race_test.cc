// A race dials the next address after a delay or at once after a failure, alternates the address
// families, and is lost only when every attempt has failed.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/memory_stream.h"
#include "tunnel/io/address.h"
#include "tunnel/io/race.h"

namespace test {
namespace {

using tunnel::io::Address;
using tunnel::io::address_literal;
using tunnel::io::Clock;
using tunnel::io::Milliseconds;
using tunnel::io::Race;

struct Runner final : tunnel::io::RaceOwner {
  void on_attempt(std::size_t index) override {
    if (!tried.empty()) tried += ' ';
    tried += race->address(index).text();
    if (fail_at_once) race->failed(index, "no route");
  }
  void on_all_failed() override { ++lost; }

  Race* race = nullptr;
  std::string tried;
  int lost = 0;
  bool fail_at_once = false;
};

std::vector<Address> addresses(const std::vector<std::string>& hosts) {
  std::vector<Address> all;
  for (const std::string& host : hosts) all.push_back(*address_literal(host, 7));
  return all;
}

struct Course {
  explicit Course(const std::vector<std::string>& hosts) : race(clock, addresses(hosts), runner) {
    runner.race = &race;
    race.start();
  }
  void pass(int ms) { clock.advance(clock.now() + Milliseconds(ms)); }

  Clock clock;
  Runner runner;
  Race race;
};

TEST_CASE("the next address is tried a while after the one before it") {
  Course course({"192.0.2.1", "192.0.2.2", "192.0.2.3"});
  CHECK(course.runner.tried.empty());
  course.pass(0);
  CHECK(course.runner.tried == "192.0.2.1:7");
  course.pass(249);
  CHECK(course.runner.tried == "192.0.2.1:7");
  course.pass(1);
  CHECK(course.runner.tried == "192.0.2.1:7 192.0.2.2:7");
  course.pass(250);
  CHECK(course.runner.tried == "192.0.2.1:7 192.0.2.2:7 192.0.2.3:7");
  course.pass(100000);
  CHECK(course.runner.lost == 0);
  CHECK(course.race.account() ==
        "192.0.2.1:7: no answer; 192.0.2.2:7: no answer; 192.0.2.3:7: no answer");
}

TEST_CASE("the families take turns, that of the first address first") {
  Course course({"2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"});
  for (int i = 0; i < 4; ++i) course.pass(250);
  CHECK(course.runner.tried == "[2001:db8::1]:7 192.0.2.1:7 [2001:db8::2]:7 [2001:db8::3]:7");
}

TEST_CASE("a failure starts the next attempt at once and moves the one after it") {
  Course course({"192.0.2.1", "192.0.2.2", "192.0.2.3"});
  course.pass(0);
  course.pass(200);
  course.race.failed(0, "Connection refused");
  course.pass(0);
  CHECK(course.runner.tried == "192.0.2.1:7 192.0.2.2:7");
  course.pass(249);
  CHECK(course.runner.tried == "192.0.2.1:7 192.0.2.2:7");
  course.pass(1);
  CHECK(course.runner.tried == "192.0.2.1:7 192.0.2.2:7 192.0.2.3:7");
  CHECK(course.race.account() ==
        "192.0.2.1:7: Connection refused; 192.0.2.2:7: no answer; 192.0.2.3:7: no answer");
}

TEST_CASE("it is lost when every attempt has failed, in whichever order, and only then") {
  Course course({"192.0.2.1", "192.0.2.2"});
  course.pass(0);
  course.pass(250);
  course.race.failed(1, "second");
  course.pass(100000);
  CHECK(course.runner.lost == 0);
  course.race.failed(0, "first");
  CHECK(course.runner.lost == 0);
  course.pass(0);
  CHECK(course.runner.lost == 1);
  CHECK(course.race.account() == "192.0.2.1:7: first; 192.0.2.2:7: second");
}

TEST_CASE("attempts may fail inside the call that starts them") {
  Course course({"192.0.2.1", "2001:db8::1", "192.0.2.2"});
  course.runner.fail_at_once = true;
  settle(course.clock);
  CHECK(course.runner.tried == "192.0.2.1:7 [2001:db8::1]:7 192.0.2.2:7");
  CHECK(course.runner.lost == 1);
}

TEST_CASE("a resolver's endless answer is cut") {
  std::vector<std::string> hosts;
  for (int i = 1; i < 200; ++i) hosts.push_back("192.0.2." + std::to_string(i));
  Course course(hosts);
  course.runner.fail_at_once = true;
  settle(course.clock);
  CHECK(course.runner.lost == 1);
  CHECK(course.runner.tried.find("192.0.2.16:7") != std::string::npos);
  CHECK(course.runner.tried.find("192.0.2.17:7") == std::string::npos);
}

TEST_CASE("only whole addresses are literals") {
  CHECK(address_literal("127.0.0.1", 1)->text() == "127.0.0.1:1");
  CHECK(address_literal("::1", 65535)->text() == "[::1]:65535");
  CHECK(address_literal("::ffff:192.0.2.1", 1)->text() == "[::ffff:192.0.2.1]:1");
  CHECK(address_literal("fe80::1%lo", 1)->text() == "[fe80::1%lo]:1");
  for (const char* name : {"", "localhost", "127.1", "0x7f000001", "127.0.0.1 ", "[::1]", ":",
                           "::g", "1.2.3.4.5", "fe80::1%no-such-interface"}) {
    INFO(name);
    CHECK(!address_literal(name, 1));
  }
  CHECK(!address_literal(std::string("::1\0", 4), 1));
}

}  // namespace
}  // namespace test
