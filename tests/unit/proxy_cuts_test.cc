// Connections are cut while calls hang: the daemon's workers stay taken, and whoever would ask
// again takes others.
#include <algorithm>
#include <chrono>
#include <cstdint>
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
using test::machine;
using test::RawClient;
using test::World;

namespace {

// Workers of a daemon that never lets go of one: all calls about these machines that ever came.
std::size_t workers(World& world, std::uint8_t first, std::uint8_t last) {
  return static_cast<std::size_t>(
      std::ranges::count_if(world.daemon().asked, [=](const auto& call) {
        return call.header.procedure == policy::number(Remote::DOMAIN_GET_INFO) &&
               test::is_about(call.body, first, last);
      }));
}

bool answers(World& world, RawClient& client, std::uint8_t uuid, milliseconds time) {
  const auto serial = client.call(Remote::DOMAIN_GET_INFO, machine(uuid));
  world.pass(time);
  return client.ok(serial);
}

// Users ask about machines that hang, and all connections are cut, so many times.
void cut(World& world, std::uint8_t machines, int times) {
  const auto first = clients_of(world, 1000, 4);
  const auto second = clients_of(world, 1002, 4);
  hang(world, 1, machines);
  for (int i = 0; i < times; ++i) {
    ask(first, 1, static_cast<std::uint8_t>(machines / 2));
    ask(second, static_cast<std::uint8_t>(machines / 2 + 1), machines);
    world.pass(seconds(3));
    world.daemon().send_event(1, {});  // something is heard of the daemon until then
    world.daemon().kill_all();
    world.pass(seconds(3));
  }
}

}  // namespace

TEST_CASE("cuts beside machines that hang leave the daemon some workers", "[proxy][cuts]") {
  World world;
  world.config.targets[0].call_timeout = seconds(10);
  world.gate();
  cut(world, 12, 12);
  CHECK(workers(world, 1, 12) <= 18);
}

TEST_CASE("whoever asks about other machines is answered after cuts", "[proxy][cuts]") {
  World world;
  world.config.targets[0].call_timeout = seconds(10);
  world.gate();
  RawClient& victim = world.opened("hail", 1001);
  cut(world, 12, 6);
  for (std::uint8_t one = 100; one < 140; ++one) {
    CHECK(answers(world, victim, one, milliseconds(500)));
  }
}

TEST_CASE("machines of a daemon that was restarted are answered again", "[proxy][cuts]") {
  World world;
  world.config.targets[0].call_timeout = seconds(10);
  world.gate();
  cut(world, 12, 6);
  hang(world, 0, 0);
  RawClient& client = world.opened("hail", 1001);
  world.daemon().down = true;
  world.daemon().kill_all();
  client.call(Remote::DOMAIN_GET_INFO, machine(100));
  world.pass(seconds(2));
  world.daemon().down = false;
  world.pass(seconds(2));
  std::vector<std::uint8_t> missing;
  for (std::uint8_t one = 1; one <= 12; ++one) missing.push_back(one);
  for (int i = 0; i < 10 && !missing.empty(); ++i) {
    std::erase_if(missing,
                  [&](std::uint8_t one) { return answers(world, client, one, milliseconds(100)); });
  }
  CAPTURE(missing.size());
  CHECK(missing.empty());
}

TEST_CASE("of what was lost one is asked again after a while, even if it hangs for ever",
          "[proxy][cuts]") {
  World world;
  world.config.targets[0].call_timeout = seconds(10);
  world.gate();
  cut(world, 12, 4);
  RawClient& client = world.opened("hail", 1001);
  const std::size_t before = workers(world, 1, 12);
  CHECK_FALSE(answers(world, client, 1, seconds(1)));
  CHECK(workers(world, 1, 12) == before);
  for (int i = 0; i < 60; ++i) answers(world, client, 1, seconds(1));
  CHECK(workers(world, 1, 12) == before + 1);
}

TEST_CASE("calls of a connection with a daemon that is not heard at all are not blamed",
          "[proxy][cuts]") {
  World world;
  world.config.targets[0].call_timeout = seconds(10);
  world.gate();
  RawClient& client = world.opened();
  world.daemon().hold = world.daemon().silent = true;
  client.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.pass(milliseconds(1500));
  world.daemon().hold = world.daemon().silent = false;
  world.daemon().kill_all();
  world.pass(seconds(1));
  CHECK(world.gate().snapshot().targets.at(0).silent == 0);
}

TEST_CASE("very many calls that end together are all told so", "[proxy][cuts]") {
  World world;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  std::vector<std::pair<RawClient*, std::uint32_t>> calls;
  const auto clients = clients_of(world, 1000, 60);
  SECTION("since their deadline has come") { hang(world, 1, 1); }
  SECTION("since the target is lost") {
    world.daemon().hold = true;
    world.config.targets[0].retry_timeout = seconds(1);
  }
  for (RawClient* client : clients) {
    for (int i = 0; i < 16; ++i) {
      calls.emplace_back(client, client->call(Remote::DOMAIN_GET_INFO, machine(1)));
    }
  }
  world.pass(seconds(1));
  if (world.daemon().hold) {
    world.daemon().down = true;
    world.daemon().kill_all();
  }
  world.pass(seconds(12));
  CHECK(std::ranges::all_of(calls, [](const auto& one) {
    return one.first->reply(one.second) != nullptr && !one.first->ok(one.second);
  }));
  CHECK(world.gate().snapshot().targets.at(0).waiting == 0);
}

TEST_CASE("very many clients that wait for a target that cannot be reached are all told so",
          "[proxy][cuts]") {
  World world;
  world.daemon().down = true;
  world.gate();
  std::vector<std::pair<RawClient*, std::uint32_t>> opens;
  for (int i = 0; i < 300; ++i) {
    RawClient& client = world.client();
    opens.emplace_back(&client, client.call(Remote::CONNECT_OPEN, test::open_arguments("hail", 1)));
  }
  world.pass(seconds(20));
  CHECK(std::ranges::all_of(opens, [](const auto& one) {
    return one.first->reply(one.second) != nullptr && !one.first->ok(one.second);
  }));
}
