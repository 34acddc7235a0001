// What users have of a target is theirs, and does not depend on how many clients they come with.
#include <algorithm>

#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/stuck.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using test::allow_calls;
using test::held_about;
using test::machine;
using test::RawClient;
using test::words;
using test::World;

namespace {

base::Buffer lifecycle_of(const base::Buffer& object) {
  base::Buffer out = words({0, 1});
  base::append(out, object);
  return out;
}

constexpr Remote kRegister = Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY;

}  // namespace

TEST_CASE("no user has more than half of the places while another could use one",
          "[proxy][queue]") {
  World world;
  world.config.targets[0].upstreams = 2;
  world.gate();
  world.daemon().hold = true;
  std::uint8_t uuid = 1;
  for (int i = 0; i < 10; ++i) {
    RawClient& greedy = world.opened("hail", 1001);
    for (int n = 0; n < 10; ++n) greedy.call(Remote::DOMAIN_GET_INFO, machine(uuid++));
  }
  world.settle();
  CHECK(held_about(world, 1, 100) == 8);
  uuid = 150;
  for (int i = 0; i < 4; ++i) {
    RawClient& other = world.opened("hail", 1002);
    for (int n = 0; n < 10; ++n) other.call(Remote::DOMAIN_GET_INFO, machine(uuid++));
  }
  for (int i = 0; i < 60; ++i) {
    world.daemon().answer(0);
    world.settle();
    REQUIRE(world.daemon().held.size() == 8);
    if (i >= 4 && i < 35) CHECK(held_about(world, 1, 100) == 4);
  }
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.settle();
}

TEST_CASE("a rule bounds the calls of a user at the daemon, over all clients", "[proxy][queue]") {
  World world;
  allow_calls(world, 3);
  world.gate();
  world.daemon().hold = true;
  std::uint8_t uuid = 1;
  for (int i = 0; i < 5; ++i) {
    RawClient& client = world.opened("hail", 1001);
    for (int n = 0; n < 4; ++n) client.call(Remote::DOMAIN_GET_INFO, machine(uuid++));
  }
  world.opened("hail", 1002).call(Remote::DOMAIN_GET_INFO, machine(200));
  world.settle();
  CHECK(held_about(world, 200, 200) == 1);
  for (int left = 20; left > 0; --left) {
    CHECK(held_about(world, 1, 100) == static_cast<std::size_t>(std::min(3, left)));
    const auto mine = std::ranges::find_if(
        world.daemon().held, [](const auto& one) { return one.body[one.body.size() - 5] < 200; });
    world.daemon().answer(static_cast<std::size_t>(mine - world.daemon().held.begin()));
    world.settle();
  }
  world.daemon().answer_all();
}

TEST_CASE("an event of a machine is one registration, whatever the machine is called",
          "[proxy][events]") {
  World world;
  RawClient& first = world.opened("hail", 1000);
  RawClient& second = world.opened("hail", 1001);
  const auto one = first.call(kRegister, lifecycle_of(machine(7, "web")));
  const auto other = second.call(kRegister, lifecycle_of(machine(7, "another")));
  world.settle();
  CHECK(first.ok(one));
  CHECK(second.ok(other));
  CHECK(world.daemon().count(policy::number(kRegister)) == 1);
  world.leave(first);
  const auto again = second.call(kRegister, lifecycle_of(machine(7, "web")));
  world.settle();
  CHECK(second.error(again).code != 0);
}

TEST_CASE("a user's registrations at a target are bounded, and leave the others theirs",
          "[proxy][events]") {
  World world;
  world.gate();
  std::vector<RawClient*> greedy;
  std::uint32_t number = 0;
  const auto next = [&] {
    base::Buffer object;
    policy::XdrWriter writer(object);
    writer.string("m");
    base::Buffer uuid(16, 0);
    uuid[0] = static_cast<std::uint8_t>(number >> 8U);
    uuid[1] = static_cast<std::uint8_t>(number++);
    writer.fixed(uuid);
    writer.number(-1);
    return lifecycle_of(object);
  };
  for (int i = 0; i < 5; ++i) {
    greedy.push_back(&world.opened("hail", 1001));
    for (int n = 0; n < 256; ++n) greedy.back()->call(kRegister, next());
    world.settle();
  }
  CHECK(world.gate().snapshot().targets.at(0).registrations == proxy::Events::kMostOfUser);
  RawClient& other = world.opened("hail", 1002);
  const auto serial = other.call(kRegister, next());
  world.settle();
  CHECK(other.ok(serial));
  const auto refused = greedy.back()->call(kRegister, next());
  world.settle();
  CHECK(greedy.back()->error(refused).text.find("too many event registrations of this user") !=
        std::string::npos);
  world.leave(*greedy.front());
  const auto taken = greedy.back()->call(kRegister, next());
  world.settle();
  CHECK(greedy.back()->ok(taken));
}
