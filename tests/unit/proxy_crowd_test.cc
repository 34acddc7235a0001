// Once many calls hang at a daemon, what may hang too is tried one call at a time, and in all no
// more calls lie there than leave it some workers.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/stuck.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ask;
using test::clients_of;
using test::hang;
using test::held_about;
using test::machine;
using test::most_held;
using test::RawClient;
using test::time_of;
using test::World;

namespace {

bool refused(const RawClient& client, std::uint32_t serial) {
  return client.error(serial).text.find("has not answered for") != std::string::npos;
}

// The machine is silent, and the upstream with the calls about it has been ended.
void make_silent(World& world, RawClient& client, std::uint8_t uuid) {
  client.call(Remote::DOMAIN_GET_INFO, machine(uuid));
  world.pass(seconds(1));
  client.call(Remote::DOMAIN_GET_INFO, machine(uuid));
  world.pass(seconds(80));
  REQUIRE(world.gate().snapshot().targets.at(0).silent == 1);
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 0);
  world.daemon().held.clear();
}

}  // namespace

TEST_CASE("beside many machines that hang users take turns to try others", "[proxy][crowd]") {
  World world;
  world.gate();
  hang(world, 1, 60);
  const auto first = clients_of(world, 1000, 2);
  const auto second = clients_of(world, 1002, 2);
  RawClient& victim = world.opened("hail", 1001);
  ask(first, 1, 4);
  ask(second, 5, 8);
  world.pass(seconds(1));
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 8);
  ask(first, 9, 12);
  ask(second, 13, 16);
  world.settle();
  CHECK(world.daemon().held.size() == 9);
  const long took = time_of(world, victim, machine(100));
  CHECK((took >= 0 && took <= 700));
  CHECK(most_held(world, seconds(10)) == 14);
}

TEST_CASE("machines that never answered take few places before anybody knows that they hang",
          "[proxy][crowd]") {
  World world;
  world.gate();
  RawClient& victim = world.opened("hail", 1001);
  // So it is known how long this takes.
  REQUIRE(time_of(world, victim, machine(100)) == 0);
  const auto info = victim.call(Remote::DOMAIN_GET_INFO, machine(100));
  world.settle();
  REQUIRE(victim.ok(info));
  hang(world, 1, 60);
  ask(clients_of(world, 1000, 3), 1, 10);
  ask(clients_of(world, 1002, 3), 11, 20);
  world.settle();
  CHECK(world.daemon().held.size() == 8);
  // Soon all of them are late, and one more is tried.
  world.pass(milliseconds(250));
  CHECK(world.daemon().held.size() == 9);
  CHECK(most_held(world, seconds(10)) == 14);
  CHECK(time_of(world, victim, machine(100)) == 0);
}

TEST_CASE("calls that are late count as if they hung already", "[proxy][crowd]") {
  World world;
  world.gate();
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  ask(first, 1, 30);
  world.settle();
  hang(world, 1, 30);
  ask(first, 1, 4);
  ask(second, 5, 8);
  world.pass(milliseconds(250));
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 0);
  REQUIRE(world.daemon().held.size() == 8);
  ask(second, 9, 12);
  world.settle();
  CHECK(world.daemon().held.size() == 9);
}

TEST_CASE("what was answered together with the first calls that hang may hang too",
          "[proxy][crowd]") {
  World world;
  world.gate();
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  ask(first, 21, 28);
  world.settle();
  hang(world, 1, 8);
  ask(first, 1, 4);
  ask(second, 5, 8);
  world.pass(milliseconds(50));
  const auto answered = ask(first, 21, 28);
  world.settle();
  REQUIRE(world.daemon().held.size() == 8);
  for (std::size_t i = 0; i < answered.size(); ++i) REQUIRE(first[i % 4]->ok(answered[i]));
  world.pass(seconds(1));
  hang(world, 1, 60);
  ask(first, 21, 24);
  ask(second, 25, 28);
  world.settle();
  CHECK(world.daemon().held.size() == 9);
}

TEST_CASE(
    "an older call that is overdue later says nothing of what was answered before others hung",
    "[proxy][crowd]") {
  World world;
  world.gate();
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  ask(first, 1, 8);
  ask(second, 21, 28);
  world.settle();
  hang(world, 1, 8);
  ask(first, 1, 4);
  ask(second, 5, 7);
  world.pass(milliseconds(150));
  ask(second, 21, 28);
  world.pass(milliseconds(50));
  ask(second, 8, 8);
  REQUIRE(world.daemon().held.size() == 7);
  hang(world, 1, 60);
  world.pass(milliseconds(400));
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 7);
  ask(first, 21, 24);
  ask(second, 25, 28);
  world.settle();
  CHECK(world.daemon().held.size() == 9);
}

TEST_CASE("what was answered beside many calls that hang may hang as soon as another does",
          "[proxy][crowd]") {
  World world;
  world.gate();
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  const auto third = clients_of(world, 1003, 4);
  hang(world, 1, 8);
  ask(first, 1, 4);
  ask(second, 5, 8);
  world.pass(seconds(2));
  ask(third, 21, 40);
  world.pass(seconds(2));
  REQUIRE(world.daemon().held.size() == 8);
  hang(world, 1, 60);
  third[0]->call(Remote::DOMAIN_GET_INFO, machine(21));
  world.pass(seconds(1));
  REQUIRE(world.daemon().held.size() == 9);
  ask(first, 22, 25);
  ask(second, 26, 29);
  ask(third, 30, 33);
  world.settle();
  CHECK(world.daemon().held.size() == 10);
  // One of the sixteen and one beyond them, which does not answer.
  CHECK(most_held(world, seconds(10)) == 17);
}

TEST_CASE("calls that ask whether machines answer again count among those that may hang",
          "[proxy][crowd]") {
  World world;
  world.gate();
  hang(world, 1, 6);
  RawClient& client = world.opened();
  ask({&client}, 1, 6);
  world.pass(seconds(36));
  REQUIRE(world.gate().snapshot().targets.at(0).silent == 6);
  REQUIRE(world.daemon().held.size() == 6);
  const auto serials = ask({&client}, 1, 6);
  world.settle();
  CHECK(world.daemon().held.size() == 8);
  for (std::size_t i = 2; i < 6; ++i) CHECK(refused(client, serials[i]));
}

TEST_CASE("calls that were given up count among those that hang", "[proxy][crowd]") {
  World world;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  hang(world, 1, 60);
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  make_silent(world, *first[0], 60);
  ask(first, 1, 10);
  ask(second, 11, 20);
  // These and the two of before are fourteen.
  CHECK(most_held(world, seconds(4)) == 12);
}

TEST_CASE("where as many calls hang as may no machine is asked whether it answers again",
          "[proxy][crowd]") {
  World world;
  world.config.targets[0].call_timeout = seconds(20);
  world.gate();
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  hang(world, 60, 60);
  make_silent(world, *first[0], 60);
  ask(first, 1, 10);
  ask(second, 11, 20);
  world.pass(seconds(1));
  hang(world, 1, 60);
  ask(first, 1, 4);
  ask(second, 11, 14);
  world.pass(seconds(1));
  ask(first, 5, 10);
  ask(second, 15, 20);
  world.pass(seconds(10));
  // With the two that were given up these are all, and one is beyond them.
  REQUIRE(world.daemon().held.size() == 15);
  RawClient& victim = world.opened("hail", 1001);
  const auto serial = victim.call(Remote::DOMAIN_GET_INFO, machine(60));
  world.settle();
  CHECK(held_about(world, 60, 60) == 0);
  CHECK(refused(victim, serial));
}

TEST_CASE("one call waits to ask whether a machine answers again, and others fail at once",
          "[proxy][crowd]") {
  World world;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  hang(world, 1, 60);
  RawClient& client = world.opened();
  make_silent(world, client, 60);
  // They are all that one client may have at the daemon.
  ask({&client}, 1, 4);
  world.settle();
  REQUIRE(world.daemon().held.size() == 4);
  const auto waits = client.call(Remote::DOMAIN_GET_INFO, machine(60, "one"));
  const auto second = client.call(Remote::DOMAIN_GET_INFO, machine(60, "other"));
  world.settle();
  CHECK(client.reply(waits) == nullptr);
  CHECK(refused(client, second));
}
