// Of a subject one kind of call may hang while others are answered, and of all subjects only so
// many are tried once several hang.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "policy/procedures.h"
#include "proxy/upstream/history.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/stuck.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::answer_again;
using test::ask;
using test::clients_of;
using test::hang;
using test::machine;
using test::most_held;
using test::RawClient;
using test::time_of;
using test::words;
using test::World;

namespace {

constexpr Remote kStatistics = Remote::CONNECT_GET_ALL_DOMAIN_STATS;
constexpr std::uint32_t kState = 1;
constexpr std::uint32_t kBlock = 1U << 4;

// Statistics of block devices hang, as those of a machine whose storage does.
void hang_block_statistics(World& world) {
  world.daemon().hold_if = [](const policy::Header& header, base::Bytes body) {
    return header.procedure == policy::number(kStatistics) && (body[7] & kBlock) != 0;
  };
}

bool answers(World& world, RawClient& client, Remote procedure, const base::Buffer& body) {
  const auto serial = client.call(procedure, body);
  world.pass(milliseconds(600));
  return client.ok(serial);
}

std::size_t answered_of(const std::vector<std::pair<RawClient*, std::uint32_t>>& calls) {
  return static_cast<std::size_t>(
      std::ranges::count_if(calls, [](const auto& call) { return call.first->ok(call.second); }));
}

}  // namespace

TEST_CASE("statistics that hang do not take with them those that are answered", "[proxy][kinds]") {
  World world;
  world.gate();
  hang_block_statistics(world);
  RawClient& victim = world.opened("hail", 1001);
  RawClient& attacker = world.opened();
  for (std::uint32_t i = 0; i < 12; ++i) {
    attacker.call(kStatistics, words({0, kBlock | i << 8, 0}));
  }
  world.pass(seconds(1));
  // While it is overdue, and when it is silent.
  for (int i = 0; i < 45; ++i) {
    CHECK(answers(world, victim, kStatistics, words({0, kState, 0})));
    world.pass(milliseconds(400));
    attacker.call(kStatistics, words({0, kBlock, 0}));
  }
  CHECK(world.log.count("subject-silent") == 1);
  CHECK(world.daemon().held.size() <= 8);
  answer_again(world);
  CHECK(answers(world, victim, kStatistics, words({0, kBlock, 0})));
  CHECK(world.log.count("subject-answers") == 1);
}

TEST_CASE("at a machine that is locked what needs no lock is answered", "[proxy][kinds]") {
  World world;
  world.gate();
  world.daemon().hold_if = [](const policy::Header& header, base::Bytes body) {
    return header.procedure != policy::number(Remote::DOMAIN_GET_STATE) &&
           base::text_of(body).find("web1") != std::string_view::npos;
  };
  RawClient& victim = world.opened("hail", 1001);
  RawClient& attacker = world.opened();
  attacker.call(Remote::DOMAIN_GET_INFO, machine(1));
  attacker.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.pass(seconds(1));
  const std::vector<Remote> others = {Remote::DOMAIN_GET_OS_TYPE, Remote::DOMAIN_GET_MAX_VCPUS,
                                      Remote::DOMAIN_GET_MAX_MEMORY};
  for (int i = 0; i < 40; ++i) {
    CHECK(time_of(world, victim, machine(1)) == 0);
    attacker.call(others[static_cast<std::size_t>(i) % others.size()], machine(1));
    world.pass(seconds(1));
  }
  CHECK(world.gate().snapshot().targets.at(0).silent == 1);
  CHECK(world.daemon().held.size() <= 8);
  // Of what hangs there everybody hears soon, whatever it is.
  const auto asked = victim.call(Remote::DOMAIN_GET_OS_TYPE, machine(1));
  world.pass(seconds(1));
  CHECK(victim.error(asked).text.find("has not answered for") != std::string::npos);
  answer_again(world);
  for (const Remote one : others) CHECK(answers(world, victim, one, machine(1)));
}

TEST_CASE("a kind that was answered before is tried where unknown ones no longer are",
          "[proxy][kinds]") {
  World world;
  world.gate();
  RawClient& victim = world.opened("hail", 1001);
  REQUIRE(answers(world, victim, kStatistics, words({0, kState, 0})));
  hang_block_statistics(world);
  const std::array<RawClient*, 3> attackers = {&world.opened(), &world.opened("hail", 1002),
                                               &world.opened("hail", 1003)};
  // Each of them is a kind of its own.
  for (std::uint32_t i = 1; i <= 90; ++i) {
    attackers[i % 3]->call(kStatistics, words({0, kBlock | i << 8, 0}));
    world.pass(milliseconds(250));
  }
  CHECK(world.daemon().held.size() == 5);
  CHECK(answers(world, victim, kStatistics, words({0, kState, 0})));
}

TEST_CASE("of each kind of which nobody knows one call is tried, so that others are tried too",
          "[proxy][kinds]") {
  World world;
  world.gate();
  world.daemon().hold_if = [](const policy::Header& header, base::Bytes) {
    return header.procedure == policy::number(Remote::DOMAIN_GET_INFO) ||
           header.procedure == policy::number(Remote::DOMAIN_GET_OS_TYPE);
  };
  RawClient& first = world.opened();
  RawClient& second = world.opened("hail", 1002);
  RawClient& victim = world.opened("hail", 1001);
  first.call(Remote::DOMAIN_GET_INFO, machine(1, "one"));
  first.call(Remote::DOMAIN_GET_INFO, machine(1, "other"));
  world.pass(seconds(1));
  REQUIRE(world.daemon().held.size() == 2);
  second.call(Remote::DOMAIN_GET_OS_TYPE, machine(1, "one"));
  second.call(Remote::DOMAIN_GET_OS_TYPE, machine(1, "other"));
  world.pass(seconds(1));
  CHECK(world.daemon().held.size() == 3);
  CHECK(answers(world, victim, Remote::DOMAIN_GET_MAX_VCPUS, machine(1)));
}

TEST_CASE("where several machines hang no second call of what hangs there is tried",
          "[proxy][kinds]") {
  World world;
  world.gate();
  hang(world, 1, 5);
  RawClient& attacker = world.opened();
  RawClient& victim = world.opened("hail", 1001);
  for (std::uint8_t one = 1; one <= 4; ++one) {
    attacker.call(Remote::DOMAIN_GET_INFO, machine(one));
  }
  world.pass(seconds(1));
  for (std::uint8_t one = 1; one <= 4; ++one) {
    attacker.call(Remote::DOMAIN_GET_INFO, machine(one, "again"));
  }
  world.pass(seconds(1));
  CHECK(world.daemon().held.size() == 4);
  attacker.call(Remote::DOMAIN_GET_INFO, machine(5));
  world.settle();
  CHECK(time_of(world, victim, machine(20)) == 0);
}

TEST_CASE("many machines that hang take few of the daemon's workers, one call about each",
          "[proxy][kinds]") {
  World world;
  world.gate();
  hang(world, 1, 60);
  RawClient& victim = world.opened("hail", 1001);
  const auto attackers = clients_of(world, 1000, 5);
  ask(attackers, 1, 60);
  // Some are there before anybody knows; no user has all places while others are there.
  CHECK(most_held(world, seconds(20)) <= 12);
  std::vector<std::pair<RawClient*, std::uint32_t>> calls;
  for (std::uint8_t one = 100; one < 116; ++one) {
    calls.emplace_back(&victim, victim.call(Remote::DOMAIN_GET_INFO, machine(one)));
  }
  world.pass(seconds(1));
  CHECK(answered_of(calls) == calls.size());
  // Also after they are silent.
  world.pass(seconds(40));
  ask(attackers, 1, 60, Remote::DOMAIN_GET_OS_TYPE);
  CHECK(most_held(world, seconds(20)) <= 16);
  CHECK(answers(world, victim, Remote::DOMAIN_GET_INFO, machine(100)));
  CHECK(answers(world, victim, Remote::DOMAIN_GET_INFO, machine(120)));
}

TEST_CASE("one user has no more than its part of what is risked", "[proxy][kinds]") {
  World world;
  world.gate();
  hang(world, 1, 60);
  const auto attackers = clients_of(world, 1000, 5);
  // Nobody else is there.
  ask(attackers, 1, 7);
  world.pass(seconds(1));
  REQUIRE(world.daemon().held.size() == 7);
  RawClient& victim = world.opened("hail", 1001);
  for (std::uint8_t one = 8; one <= 60; ++one) {
    attackers[one % 5]->call(Remote::DOMAIN_GET_INFO, machine(one));
    world.pass(milliseconds(200));
  }
  CHECK(world.daemon().held.size() <= 12);
  // Nobody has asked about these yet.
  for (std::uint8_t one = 100; one < 116; ++one) {
    CHECK(answers(world, victim, Remote::DOMAIN_GET_INFO, machine(one)));
  }
}

TEST_CASE("whoever comes once a user has let all hang that may is answered", "[proxy][kinds]") {
  World world;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  hang(world, 1, 60);
  ask(clients_of(world, 1000, 5), 1, 60);
  CHECK(most_held(world, seconds(4)) == 14);
  // It comes, asks about many machines and goes, again and again.
  for (int round = 0; round < 5; ++round) {
    RawClient& exporter = world.opened("hail", 1001);
    for (std::uint8_t one = 100; one < 116; ++one) {
      CHECK(answers(world, exporter, Remote::DOMAIN_GET_INFO, machine(one)));
    }
    world.leave(exporter);
    world.pass(seconds(3));
  }
  CHECK(most_held(world, seconds(20)) <= 16);
}

TEST_CASE("a machine that answers again is found beside many that do not", "[proxy][kinds]") {
  World world;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  hang(world, 1, 18);
  RawClient& client = world.opened();
  RawClient& other = world.opened("hail", 1001);
  // Its calls end with an upstream that was replaced, so that no answer tells.
  client.call(Remote::DOMAIN_GET_INFO, machine(18));
  world.pass(seconds(1));
  client.call(Remote::DOMAIN_GET_INFO, machine(18));
  world.pass(seconds(80));
  REQUIRE(world.gate().snapshot().targets.at(0).silent == 1);
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 0);
  for (std::uint8_t one = 1; one <= 17; ++one) {
    client.call(Remote::DOMAIN_GET_INFO, machine(one));
    other.call(Remote::DOMAIN_GET_OS_TYPE, machine(one));
  }
  world.pass(seconds(10));
  hang(world, 1, 17);
  bool back = false;
  for (int i = 0; i < 20 && !back; ++i) {
    back = answers(world, other, Remote::DOMAIN_GET_INFO, machine(18));
  }
  CHECK(back);
  CHECK(world.daemon().held.size() <= 16);
}

TEST_CASE("whoever is there and asks nothing finds a place at once", "[proxy][kinds]") {
  World world;
  world.config.targets[0].upstreams = GENERATE(1U, 2U, 4U);
  const std::size_t places = 4 * world.config.targets[0].upstreams;
  world.gate();
  std::uint32_t id = 0;
  std::vector<RawClient*> greedy = {&world.opened()};
  test::ask_of_ids(world, *greedy[0], 64);
  world.daemon().hold = true;
  for (int i = 0; i < 8; ++i) {
    greedy.push_back(&world.opened());
    for (int n = 0; n < 8; ++n) greedy.back()->call(Remote::DOMAIN_LOOKUP_BY_ID, words({id++}));
  }
  world.pass(milliseconds(450));
  // Alone it has all of them.
  CHECK(world.daemon().held.size() == places);
  RawClient& modest = world.opened("hail", 1001);
  for (int i = 0; i < 16; ++i) {
    world.daemon().answer(0);
    world.settle();
  }
  CHECK(world.daemon().held.size() == places * 3 / 4);
  modest.call(Remote::DOMAIN_LOOKUP_BY_ID, words({9999}));
  world.settle();
  CHECK(world.daemon().held.size() == places * 3 / 4 + 1);
}

TEST_CASE("what is remembered of answers is bounded, and each user has its part",
          "[proxy][kinds]") {
  using proxy::History;
  using proxy::Kind;
  proxy::Topic topic;
  History history;
  const auto at = [](std::size_t i) { return milliseconds(static_cast<std::int64_t>(i)); };
  Kind& modest = topic.kinds.try_emplace(0, topic, 0).first->second;
  history.add(modest, 1001, at(0));
  for (std::size_t i = 1; i < 2 * History::kMost; ++i) {
    Kind& kind = topic.kinds.try_emplace(i, topic, i).first->second;
    history.add(kind, 1000, at(i));
    while (Kind* one = history.excess()) {
      CHECK(one->remembered_for == 1000);
      CHECK(*one->answered == at(i + 1 - History::kMost));
      history.remove(*one);
    }
    REQUIRE(history.count() <= History::kMost);
    REQUIRE(topic.known == history.count());
  }
  REQUIRE(modest.answered);
  history.add(modest, 1000, at(5));
  CHECK(*modest.answered == at(5));
  CHECK(history.outdated(History::kLongest) == nullptr);
  const milliseconds later = History::kLongest + at(History::kMost + 1);
  while (Kind* one = history.outdated(later)) history.remove(*one);
  CHECK(history.outdated(later) == nullptr);
  CHECK(history.count() < History::kMost);
  while (Kind* one = history.outdated(milliseconds::max())) history.remove(*one);
  CHECK(history.count() == 0);
  CHECK(topic.known == 0);
}
