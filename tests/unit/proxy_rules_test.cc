// Rules decide which targets a user sees and which calls pass, and bound connections, calls in
// flight and calls of a second.
#include <array>

#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using test::RawClient;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kNodeInfo = policy::number(policy::Remote::NODE_GET_INFO);
constexpr std::int32_t kDestroy = policy::number(policy::Remote::DOMAIN_DESTROY);

policy::AccessRule rule(std::uint32_t uid, std::vector<std::string> targets,
                        std::vector<std::string> allow) {
  policy::AccessRule out;
  out.users = {uid};
  out.targets = std::move(targets);
  out.allow = std::move(allow);
  out.place = "f line 3";
  return out;
}

std::size_t answered(const RawClient& client, const std::vector<std::uint32_t>& calls) {
  std::size_t count = 0;
  for (const auto serial : calls) count += client.ok(serial) ? 1U : 0U;
  return count;
}

}  // namespace

TEST_CASE("a user without a rule sees nothing, and is told so") {
  World world({"hail", "sleet"});
  world.config.rules.rules = {rule(1000, {"hail"}, {"*"})};
  world.opened("hail", 1000);
  RawClient& other = world.client(1001);
  auto open = other.open("hail");
  world.settle();
  CHECK(other.error(open).code == 5);
  CHECK(other.error(open).text.find("user 1001 may not see target 'hail'") != std::string::npos);
  open = other.open("nowhere");
  world.settle();
  CHECK(other.error(open).text.find("there are no targets") != std::string::npos);
  RawClient& again = world.client(1000);
  open = again.open("nowhere");
  world.settle();
  CHECK(again.error(open).text.find("targets are hail") != std::string::npos);
  CHECK(again.error(open).text.find("sleet") == std::string::npos);
  CHECK(world.daemon("sleet").count(1) == 0);
}

TEST_CASE("of the targets that no name means, those that the user sees are tried") {
  World world({"hail", "sleet"});
  world.config.rules.rules = {rule(1000, {"sleet"}, {"*"})};
  RawClient& client = world.client(1000);
  const auto open = client.open("");
  world.settle();
  CHECK(client.ok(open));
  CHECK(world.daemon("hail").count(1) == 0);
  CHECK(world.daemon("sleet").count(1) == 1);
}

TEST_CASE("a rule decides which calls pass") {
  World world;
  world.config.rules.rules = {rule(1000, {"*"}, {"CONNECT_*", "DOMAIN_DESTROY"})};
  RawClient& client = world.opened("hail", 1000);
  const auto version = client.call(kLibVersion);
  const auto info = client.call(kNodeInfo);
  const auto destroy = client.call(kDestroy);
  world.settle();
  CHECK(client.ok(version));
  CHECK(client.error(info).code == 29);
  CHECK(client.error(info).text.find(
            "rule 1 (f line 3) does not let user 1000 call NODE_GET_INFO of target 'hail'") !=
        std::string::npos);
  CHECK(client.error(destroy).code == 29);
  CHECK(world.daemon().count(kNodeInfo) == 0);
  CHECK(world.daemon().count(kDestroy) == 0);
  CHECK(world.log.count("rule=\"rule 1 (f line 3)\"") == 3);
}

TEST_CASE("a rule bounds the connections of each of its users") {
  World world;
  world.config.rules.rules = {rule(1000, {"*"}, {"*"}), rule(1001, {"*"}, {"*"})};
  for (auto& one : world.config.rules.rules) one.limits.clients = 2;
  world.opened("hail", 1000);
  RawClient& second = world.opened("hail", 1000);
  RawClient& third = world.client(1000);
  const auto open = third.open("hail");
  world.settle();
  CHECK(third.error(open).code == 29);
  CHECK(third.error(open).text.find("already has the maximum of 2 clients of rule 1 (f line 3)") !=
        std::string::npos);
  world.opened("hail", 1001);
  world.leave(second);
  const auto retried = third.open("hail");
  world.settle();
  CHECK(third.ok(retried));
}

TEST_CASE("a rule bounds the calls of a second, over all connections of a user") {
  World world;
  world.config.rules.rules = {rule(1000, {"*"}, {"*"}), rule(1001, {"*"}, {"*"})};
  world.config.rules.rules[0].limits.calls_per_second = 10;
  std::array<RawClient*, 2> greedy = {&world.opened("hail", 1000), &world.opened("hail", 1000)};
  RawClient& other = world.opened("hail", 1001);
  std::array<std::vector<std::uint32_t>, 2> calls;
  for (int i = 0; i < 50; ++i) {
    for (std::size_t c = 0; c < 2; ++c) calls[c].push_back(greedy[c]->call(kLibVersion));
  }
  world.settle();
  const auto done = [&] { return answered(*greedy[0], calls[0]) + answered(*greedy[1], calls[1]); };
  const std::size_t at_once = done();
  CHECK(at_once >= 10);
  CHECK(at_once <= 12);
  world.pass(std::chrono::seconds(2));
  CHECK(done() >= at_once + 18);
  CHECK(done() <= at_once + 22);
  for (int i = 0; i < 50; ++i) {
    const auto version = other.call(kLibVersion);
    world.settle();
    CHECK(other.ok(version));
  }
  world.pass(std::chrono::seconds(10));
  CHECK(done() == 100);
}

TEST_CASE("who comes back has not been forgiven") {
  World world;
  world.config.rules.rules = {rule(1000, {"*"}, {"*"})};
  world.config.rules.rules[0].limits.calls_per_second = 5;
  std::size_t done = 0;
  for (int i = 0; i < 10; ++i) {
    RawClient& client = world.opened("hail", 1000);
    std::vector<std::uint32_t> calls;
    for (int n = 0; n < 5; ++n) calls.push_back(client.call(kLibVersion));
    world.settle();
    done += answered(client, calls);
    world.leave(client);
  }
  CHECK(done < 20);
}

TEST_CASE("a rule bounds the calls that a user's clients have taken together") {
  World world({"hail", "sleet"});
  world.config.rules.rules = {rule(1000, {"*"}, {"*"}), rule(1001, {"*"}, {"*"})};
  world.config.rules.rules[0].limits.queue = 3;
  world.gate();
  std::vector<RawClient*> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(&world.opened(i % 2 == 0 ? "hail" : "sleet", 1000));
  }
  RawClient& other = world.opened("hail", 1001);
  for (const char* name : {"hail", "sleet"}) world.daemon(name).hold = true;
  std::vector<std::vector<std::uint32_t>> calls(clients.size());
  std::uint32_t id = 0;
  for (int n = 0; n < 5; ++n) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      calls[i].push_back(
          clients[i]->call(policy::Remote::DOMAIN_LOOKUP_BY_ID, test::words({id++})));
    }
  }
  world.settle();
  const auto taken = [&] {
    std::uint64_t sum = 0;
    for (const auto& client : world.gate().snapshot().clients) {
      if (client.uid == 1000) sum += client.outstanding;
    }
    return sum;
  };
  CHECK(taken() == 3);
  other.call(kLibVersion);
  world.settle();
  CHECK(world.daemon("hail").count(kLibVersion) == 1);
  world.leave(*clients[0]);
  CHECK(taken() <= 3);
  // A reload moves what is under way to the new rule's share, before anybody takes more.
  conf::Config config = world.config;
  world.gate().reload(config, conf::LibvirtConf());
  world.settle();
  CHECK(taken() == 3);
  config.rules.rules[0].limits.queue = 1;
  world.gate().reload(config, conf::LibvirtConf());
  for (int i = 0; i < 60; ++i) {
    for (const char* name : {"hail", "sleet"}) {
      if (!world.daemon(name).held.empty()) world.daemon(name).answer(0);
    }
    world.settle();
    if (i > 5) CHECK(taken() <= 1);
  }
  for (std::size_t i = 1; i < clients.size(); ++i) CHECK(answered(*clients[i], calls[i]) == 5);
}

TEST_CASE("a rule bounds calls in flight and calls taken") {
  World world;
  world.config.rules.rules = {rule(1000, {"*"}, {"*"})};
  world.config.rules.rules[0].limits.calls_in_flight = 1;
  world.config.rules.rules[0].limits.queue = 3;
  world.gate();
  RawClient& client = world.opened("hail", 1000);
  world.daemon().hold = true;
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(client.call(kLibVersion));
  world.settle();
  CHECK(world.daemon().count(kLibVersion) == 1);
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.settle();
  CHECK(answered(client, calls) == 10);
}
