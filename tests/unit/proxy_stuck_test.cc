// Nobody waits for somebody else's trouble: what a machine that hangs does to calls about others.
#include <algorithm>
#include <chrono>

#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/stuck.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::allow_calls;
using test::answer_again;
using test::ask;
using test::hang;
using test::machine;
using test::most_held;
using test::RawClient;
using test::time_of;
using test::words;
using test::World;

namespace {

// Calls about machine 1 end the daemon; `ends`: so does whatever there is.
void end_or_answer(World& world, bool ends) {
  auto& held = world.daemon().held;
  if (ends || std::ranges::any_of(
                  held, [](const auto& call) { return call.body[call.body.size() - 5] == 1; })) {
    world.daemon().kill_all();
    held.clear();
  } else {
    world.daemon().answer_all();
  }
  world.settle();
}

}  // namespace

TEST_CASE("a machine that hangs holds up no calls about others", "[proxy][stuck]") {
  World world;
  world.gate();
  hang(world, 1, 1);
  RawClient& victim = world.opened();
  std::vector<RawClient*> clients;
  std::vector<std::uint32_t> serials;
  for (int i = 0; i < 24; ++i) clients.push_back(&world.opened("hail", 1001));
  for (int n = 0; n < 8; ++n) {
    for (RawClient* client : clients) {
      serials.push_back(client->call(
          n % 2 == 0 ? Remote::DOMAIN_GET_INFO : Remote::DOMAIN_GET_OS_TYPE, machine(1)));
    }
  }
  world.settle();
  CHECK(world.daemon().held.size() <= 2);
  for (int i = 0; i < 50; ++i) {
    CHECK(time_of(world, victim, machine(2)) == 0);
    CHECK(time_of(world, *clients[0], machine(2)) == 0);
    world.pass(milliseconds(100));
  }
  CHECK(most_held(world, seconds(30)) <= 4);
  for (std::size_t i = 0; i < serials.size(); ++i) {
    CHECK(clients[i % clients.size()]->replies_to(serials[i]) == 1);
  }
  CHECK(world.log.count("subject-silent target=hail") == 1);
  CHECK(world.gate().snapshot().targets.at(0).silent == 1);

  // Whoever comes now hears of it soon.
  RawClient& late = world.opened();
  const auto asked = late.call(Remote::DOMAIN_GET_INFO, machine(1));
  const auto second = late.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.settle();
  CHECK(
      late.error(second).text.find("machine 'web1' (01010101-0101-0101-0101-010101010101) has not "
                                   "answered for") != std::string::npos);
  world.pass(seconds(1));
  CHECK(late.error(asked).text.find("has not answered for") != std::string::npos);
  CHECK(late.error(asked).code == 68);
  CHECK(time_of(world, late, machine(2)) == 0);
  CHECK(most_held(world, seconds(60)) <= 4);

  answer_again(world);
  CHECK(world.log.count("subject-answers target=hail") == 1);
  CHECK(time_of(world, late, machine(1)) == 0);
  CHECK(world.gate().snapshot().targets.at(0).silent == 0);
  CHECK(world.gate().snapshot().targets.at(0).abandoned == 0);
}

TEST_CASE("many machines that hang leave places to others", "[proxy][stuck]") {
  const int stuck = GENERATE(4, 10, 16);
  World world;
  world.gate();
  hang(world, 1, static_cast<std::uint8_t>(stuck));
  RawClient& victim = world.opened();
  for (int i = 0; i < 24; ++i) {
    RawClient& client = world.opened("hail", 1001);
    for (int n = 0; n < 8; ++n) {
      client.call(Remote::DOMAIN_GET_INFO, machine(static_cast<std::uint8_t>(1 + (i + n) % stuck)));
    }
  }
  world.pass(seconds(2));
  INFO(stuck << " stuck machines, " << world.daemon().held.size() << " calls");
  CHECK(world.daemon().held.size() <= 16);
  for (int i = 0; i < 300; ++i) {
    const long took = time_of(world, victim, machine(200));
    REQUIRE((took >= 0 && took <= 500));
    world.pass(milliseconds(100));
  }
  CHECK(world.daemon().connections() <= 6);
  answer_again(world);
  world.pass(seconds(1));
  CHECK(time_of(world, victim, machine(1)) == 0);
}

TEST_CASE("a sweep that hangs holds up neither machines nor other sweeps", "[proxy][stuck]") {
  World world;
  world.gate();
  const auto statistics = policy::number(Remote::CONNECT_GET_ALL_DOMAIN_STATS);
  world.daemon().hold_if = [=](const policy::Header& header, base::Bytes) {
    return header.procedure == statistics;
  };
  std::vector<RawClient*> clients;
  for (std::uint32_t i = 0; i < 24; ++i) {
    clients.push_back(&world.opened());
    for (std::uint32_t n = 0; n < 8; ++n) {
      clients.back()->call(Remote::CONNECT_GET_ALL_DOMAIN_STATS, words({0, i, n}));
    }
  }
  world.settle();
  for (int i = 0; i < 20; ++i) {
    CHECK(time_of(world, *clients[0], machine(1)) == 0);
    const auto list = clients[1]->call(Remote::CONNECT_LIST_ALL_DOMAINS, words({1, 0}));
    world.pass(milliseconds(100));
    CHECK(clients[1]->ok(list));
  }
  CHECK(world.daemon().held.size() <= 4);
  world.pass(seconds(31));
  const auto late = world.opened().call(Remote::CONNECT_GET_ALL_DOMAIN_STATS, words({0, 0, 0}));
  static_cast<void>(late);
  CHECK(world.log.count("subject=CONNECT_GET_ALL_DOMAIN_STATS") == 1);
  answer_again(world);
}

TEST_CASE("what is overdue is taken over by a spare upstream", "[proxy][stuck]") {
  World world;
  world.config.targets[0].upstreams = 1;
  world.config.targets[0].spare = 1;
  world.gate();
  hang(world, 1, 9);
  std::vector<RawClient*> clients;
  for (std::uint8_t i = 1; i <= 4; ++i) {
    clients.push_back(&world.opened());
    clients.back()->call(Remote::DOMAIN_GET_INFO, machine(i));
  }
  world.settle();
  REQUIRE(world.daemon().held.size() == 4);
  RawClient& victim = world.opened();
  const auto serial = victim.call(Remote::DOMAIN_GET_INFO, machine(20));
  world.pass(seconds(1));
  CHECK(victim.ok(serial));
  CHECK(world.daemon().connections() == 2);
  CHECK(world.gate().snapshot().targets.at(0).overdue == 4);
  for (int i = 0; i < 20; ++i) CHECK(time_of(world, victim, machine(20)) == 0);
}

TEST_CASE("what is overdue does not keep its own client from asking about others",
          "[proxy][stuck]") {
  World world;
  world.config.targets[0].upstreams = 1;
  allow_calls(world, GENERATE(0U, 1U));
  world.gate();
  hang(world, 1, 1);
  RawClient& client = world.opened();
  client.call(Remote::DOMAIN_GET_INFO, machine(1));
  client.call(Remote::DOMAIN_GET_OS_TYPE, machine(1));
  world.pass(seconds(1));
  for (int i = 0; i < 20; ++i) CHECK(time_of(world, client, machine(20)) == 0);
}

TEST_CASE("subjects that are silent are asked again by no more calls than may be overdue",
          "[proxy][stuck]") {
  World world;
  world.gate();
  hang(world, 1, 6);
  RawClient& client = world.opened();
  ask({&client}, 1, 6);
  world.pass(seconds(36));
  CHECK(world.gate().snapshot().targets.at(0).silent == 6);
  CHECK(world.daemon().held.size() == 6);
  for (std::uint8_t i = 1; i <= 6; ++i) client.call(Remote::DOMAIN_GET_OS_TYPE, machine(i));
  world.settle();
  CHECK(world.daemon().held.size() == 8);
  CHECK(most_held(world, seconds(20)) == 8);
}

TEST_CASE("no more overdue calls lie at the daemon than may", "[proxy][stuck]") {
  World world;
  world.config.targets[0].overdue_calls = 2;
  world.gate();
  hang(world, 1, 2);
  RawClient& client = world.opened();
  for (std::uint8_t one = 1; one <= 2; ++one) client.call(Remote::DOMAIN_GET_INFO, machine(one));
  world.pass(seconds(1));
  REQUIRE(world.daemon().held.size() == 2);
  const auto more = client.call(Remote::DOMAIN_GET_OS_TYPE, machine(1));
  world.pass(seconds(1));
  CHECK(world.daemon().held.size() == 2);
  CHECK(time_of(world, client, machine(3)) == 0);
  answer_again(world);
  CHECK(client.ok(more));
}

TEST_CASE("calls that are the same become one while they wait", "[proxy][joined]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  std::vector<RawClient*> clients;
  std::vector<std::uint32_t> serials;
  for (uid_t i = 0; i < 64; ++i) clients.push_back(&world.opened("hail", 1000 + i % 8));
  for (RawClient* client : clients) {
    serials.push_back(client->call(Remote::DOMAIN_GET_INFO, machine(1)));
  }
  const auto other = clients[0]->call(Remote::DOMAIN_GET_INFO, machine(2));
  world.settle();
  // One of them is not like the others.
  CHECK(world.daemon().held.size() == 2);
  world.daemon().answer_all();
  world.settle();
  CHECK(clients[0]->ok(other));
  CHECK(world.daemon().held.size() == 1);
  world.daemon().answer_all();
  world.settle();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    REQUIRE(clients[i]->ok(serials[i]));
    CHECK(clients[i]->replies_to(serials[i]) == 1);
  }
  CHECK(world.daemon().count(policy::number(Remote::DOMAIN_GET_INFO)) == 3);
  CHECK(world.gate().snapshot().counters_of("hail")->joined == 62);
}

TEST_CASE("a joined call outlives whoever asked first", "[proxy][joined]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& first = world.opened();
  first.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.settle();
  RawClient& second = world.opened();
  RawClient& third = world.opened();
  second.call(Remote::DOMAIN_GET_INFO, machine(1));
  const auto serial = third.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.settle();
  world.leave(first);
  world.daemon().answer_all();
  world.settle();
  REQUIRE(world.daemon().held.size() == 1);
  world.leave(second);
  world.daemon().kill_all();
  world.settle();
  world.daemon().held.erase(world.daemon().held.begin());
  world.daemon().answer_all();
  world.settle();
  CHECK(third.ok(serial));
}

TEST_CASE("a client's calls about one machine keep their order", "[proxy][queue]") {
  World world;
  world.config.limits.calls_per_client = 100;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  for (std::uint32_t i = 0; i < 20; ++i) {
    base::Buffer body = machine(1);
    base::append(body, words({i}));
    client.call(Remote::DOMAIN_GET_SCHEDULER_PARAMETERS, body);
  }
  for (int i = 0; i < 40; ++i) {
    world.settle();
    if (!world.daemon().held.empty()) world.daemon().answer(0);
  }
  std::vector<base::Buffer> asked;
  for (const auto& one : world.daemon().asked) {
    if (one.header.procedure == policy::number(Remote::DOMAIN_GET_SCHEDULER_PARAMETERS)) {
      asked.push_back(one.body);
    }
  }
  CHECK(asked.size() == 17);  // more parameters than 16 are refused
  CHECK(std::is_sorted(asked.begin(), asked.end()));
}

TEST_CASE("users take turns, however many clients each has", "[proxy][queue]") {
  World world;
  world.config.targets[0].upstreams = 1;
  world.gate();
  world.daemon().hold = true;
  std::uint32_t id = 0;
  for (int i = 0; i < 50; ++i) {
    RawClient& greedy = world.opened("hail", 1001);
    for (int n = 0; n < 4; ++n) greedy.call(Remote::DOMAIN_LOOKUP_BY_ID, words({id++}));
  }
  RawClient& modest = world.opened("hail", 1002);
  std::vector<std::uint32_t> serials;
  for (int n = 0; n < 4; ++n) {
    serials.push_back(modest.call(Remote::DOMAIN_LOOKUP_BY_ID, words({id++})));
  }
  world.settle();
  // Of the four calls at the daemon one is theirs, as that is what one client may have there.
  for (int i = 0; i < 20; ++i) {
    world.daemon().answer(0);
    world.settle();
  }
  for (const auto serial : serials) CHECK(modest.ok(serial));
}

TEST_CASE("users take turns at a machine that all of them want", "[proxy][queue]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  std::uint8_t id = 0;
  const auto question = [&] {
    base::Buffer body = machine(1);
    body.back() = ++id;
    return body;
  };
  for (int i = 0; i < 4; ++i) {
    RawClient& greedy = world.opened("hail", 1001);
    for (int n = 0; n < 12; ++n) greedy.call(Remote::DOMAIN_GET_INFO, question());
  }
  RawClient& modest = world.opened("hail", 1002);
  for (int n = 0; n < 4; ++n) {
    const auto serial = modest.call(Remote::DOMAIN_GET_INFO, question());
    world.settle();
    for (int i = 0; i < 4; ++i) {
      world.daemon().answer(0);
      world.settle();
    }
    CHECK(modest.ok(serial));
  }
}

TEST_CASE("a machine that hangs for good takes few of the daemon's workers, however long it does",
          "[proxy][stuck]") {
  // What is answered of it says nothing of what hangs.
  const bool wholly = GENERATE(true, false);
  World world;
  world.gate();
  world.daemon().hold_if = [=](const policy::Header& header, base::Bytes body) {
    return body.size() >= 28 && body[body.size() - 5] == 1 &&
           (wholly || header.procedure == policy::number(Remote::DOMAIN_GET_INFO));
  };
  std::size_t most = 0;
  for (int i = 0; i < 720; ++i) {
    RawClient& client = world.opened();
    if (!wholly) CHECK(time_of(world, client, machine(1)) == 0);
    client.call(Remote::DOMAIN_GET_INFO, machine(1));
    world.pass(milliseconds(500));
    world.leave(client);
    world.pass(seconds(9));
    most = std::max(most, world.daemon().held.size());
  }
  CHECK(most <= 12);
  answer_again(world);
  RawClient& client = world.opened();
  world.pass(seconds(10));
  CHECK(time_of(world, client, machine(1)) >= 0);
}

TEST_CASE("a rule bounds the calls of a user at the daemon, stuck ones too", "[proxy][stuck]") {
  World world;
  allow_calls(world, 1, {1001});
  world.gate();
  hang(world, 1, 24);
  std::vector<RawClient*> clients = {&world.opened("hail", 1001), &world.opened("hail", 1001)};
  for (std::uint8_t i = 1; i <= 24; ++i) {
    clients[i % 2]->call(Remote::DOMAIN_GET_INFO, machine(i));
  }
  world.settle();
  CHECK(most_held(world, seconds(25)) == 3);
}

TEST_CASE("where a rule leaves few places what may hang too does not take the last of them",
          "[proxy][stuck]") {
  World world;
  allow_calls(world, 1);
  world.gate();
  hang(world, 1, 1);
  RawClient& client = world.opened();
  client.call(Remote::DOMAIN_GET_INFO, machine(1));
  client.call(Remote::DOMAIN_GET_OS_TYPE, machine(1));
  world.pass(seconds(2));
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 2);
  const bool silent = GENERATE(false, true);
  if (silent) world.pass(seconds(31));
  REQUIRE(world.gate().snapshot().targets.at(0).silent == (silent ? 1U : 0U));
  // One that nobody knows, and one that would ask again.
  const auto unknown = client.call(Remote::DOMAIN_GET_MAX_VCPUS, machine(1));
  const auto again = client.call(Remote::DOMAIN_GET_INFO, machine(1));
  CHECK(time_of(world, client, machine(20)) == 0);
  world.pass(seconds(1));
  CHECK(time_of(world, client, machine(20)) == 0);
  CHECK(world.daemon().held.size() == 2);
  CHECK((client.error(unknown).code == 68) == silent);
  CHECK((client.error(again).code == 68) == silent);
}

TEST_CASE("a rule of more places lets as many calls hang before the rest of them is touched",
          "[proxy][stuck]") {
  World world;
  allow_calls(world, 4);
  world.gate();
  hang(world, 1, 6);
  RawClient& client = world.opened();
  ask({&client}, 1, 6);
  world.pass(seconds(2));
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 6);
  CHECK(time_of(world, client, machine(20)) == 0);
}

TEST_CASE("second calls about machines leave places to calls about others", "[proxy][stuck]") {
  World world;
  world.gate();
  std::vector<RawClient*> clients;
  for (uid_t i = 0; i < 8; ++i) clients.push_back(&world.opened("hail", 1000 + i % 2));
  RawClient& victim = world.opened("hail", 1003);
  REQUIRE(time_of(world, victim, machine(20)) == 0);
  for (std::uint8_t i = 1; i <= 8; ++i) {
    clients[i - 1U]->call(Remote::DOMAIN_GET_INFO, machine(i));
    clients[i - 1U]->call(Remote::DOMAIN_GET_OS_TYPE, machine(i));
    world.settle();
  }
  hang(world, 1, 8);
  for (std::uint8_t i = 1; i <= 8; ++i) {
    clients[i - 1U]->call(Remote::DOMAIN_GET_INFO, machine(i));
    clients[i - 1U]->call(Remote::DOMAIN_GET_OS_TYPE, machine(i));
  }
  world.settle();
  CHECK(world.daemon().held.size() == 12);
  CHECK(time_of(world, victim, machine(20)) == 0);
}

TEST_CASE("what was stuck at the daemon of before is not at the new one", "[proxy][stuck]") {
  World world;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  hang(world, 1, 1);
  RawClient& client = world.opened();
  for (int i = 0; i < 4; ++i) client.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.pass(seconds(7));
  CHECK(world.gate().snapshot().targets.at(0).silent == 1);
  world.daemon().hold_if = nullptr;
  conf::Config changed = world.config;
  changed.targets[0].upstreams = 2;
  world.gate().reload(changed, conf::LibvirtConf());
  world.pass(seconds(1));
  CHECK(world.gate().snapshot().targets.at(0).silent == 0);
  CHECK(time_of(world, client, machine(1)) == 0);
}

TEST_CASE("a call beside one that ends upstreams is not refused for it", "[proxy][poison]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  RawClient& other = world.opened("hail", 1001);
  const auto poison = client.call(Remote::DOMAIN_GET_INFO, machine(1));
  std::vector<std::uint32_t> innocent;
  for (std::uint8_t i = 2; i < 5; ++i) {
    innocent.push_back(other.call(Remote::DOMAIN_GET_INFO, machine(i)));
  }
  world.settle();
  CHECK(world.daemon().held.size() == 4);
  // Each of them may have been it, so they are asked again one by one.
  std::size_t most = 0;
  for (int i = 0; i < 40 && client.reply(poison) == nullptr; ++i) {
    world.pass(milliseconds(200));
    most = std::max(most, world.daemon().held.size());
    end_or_answer(world, i == 0);
    if (i == 0) most = 0;
  }
  CHECK(most == 1);
  CHECK(client.error(poison).text.find("lost 2 times with this call on it") != std::string::npos);
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.pass(seconds(3));
  for (const auto one : innocent) CHECK(other.ok(one));
  // What has been answered is asked as before, and the other one alone.
  world.daemon().hold = true;
  client.call(Remote::DOMAIN_GET_INFO, machine(1));
  for (std::uint8_t i = 2; i < 5; ++i) other.call(Remote::DOMAIN_GET_INFO, machine(i));
  world.settle();
  CHECK(world.daemon().held.size() == 4);
  world.daemon().answer_all();
  world.settle();
}

TEST_CASE("a call that was lost is sent beside no suspect, also when its machine has answered",
          "[proxy][poison]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& other = world.opened("hail", 1001);
  RawClient& client = world.opened();
  const std::vector<std::uint32_t> innocent = {
      other.call(Remote::DOMAIN_GET_INFO, machine(2)),
      other.call(Remote::DOMAIN_GET_OS_TYPE, machine(2)),
  };
  world.settle();
  const auto poison = client.call(Remote::DOMAIN_GET_INFO, machine(1));
  world.settle();
  REQUIRE(world.daemon().held.size() == 3);
  world.daemon().kill_all();
  world.daemon().held.clear();
  for (int i = 0; i < 40 && client.reply(poison) == nullptr; ++i) {
    world.pass(milliseconds(200));
    CHECK(world.daemon().held.size() <= 1);
    end_or_answer(world, false);
  }
  CHECK(client.error(poison).text.find("lost 2 times with this call on it") != std::string::npos);
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.pass(seconds(3));
  for (const auto one : innocent) CHECK(other.ok(one));
}

TEST_CASE("a suspected call that takes long holds up no other one for long", "[proxy][poison]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto first = client.call(Remote::DOMAIN_GET_INFO, machine(1));
  const auto second = client.call(Remote::DOMAIN_GET_INFO, machine(2));
  world.settle();
  world.daemon().kill_all();
  world.daemon().held.clear();
  world.settle();
  CHECK(world.daemon().held.size() == 1);
  world.pass(seconds(2));
  CHECK(world.daemon().held.size() == 2);
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(first));
  CHECK(client.ok(second));
}

TEST_CASE("what nobody waits for any more is counted apart, and its upstream replaced",
          "[proxy][stuck]") {
  World world;
  world.gate();
  hang(world, 1, 3);
  RawClient& client = world.opened();
  RawClient& gone = world.opened("hail", 1001);
  for (std::uint8_t i = 1; i <= 3; ++i) gone.call(Remote::DOMAIN_GET_INFO, machine(i));
  world.settle();
  world.leave(gone);
  CHECK(world.gate().snapshot().targets.at(0).abandoned == 3);
  CHECK(world.daemon().dials == 1);
  world.pass(seconds(2));
  CHECK(world.log.count("upstream-replaced target=hail") == 1);
  CHECK(time_of(world, client, machine(9)) == 0);
  CHECK(world.daemon().connections() == 2);
  world.pass(seconds(120));
  CHECK(world.daemon().connections() == 1);
  CHECK(time_of(world, client, machine(9)) == 0);
}

TEST_CASE("a replaced upstream ends sooner where calls wait for a place", "[proxy][stuck]") {
  World world;
  world.config.targets[0].upstreams = 1;
  world.config.targets[0].spare = 1;
  world.config.targets[0].call_timeout = seconds(5);
  world.gate();
  hang(world, 1, 7);
  RawClient& victim = world.opened("hail", 1002);
  std::vector<RawClient*> gone;
  for (std::uint8_t i = 1; i <= 3; ++i) {
    gone.push_back(&world.opened("hail", 1001));
    gone.back()->call(Remote::DOMAIN_GET_INFO, machine(i));
  }
  world.settle();
  for (RawClient* client : gone) world.leave(*client);
  world.pass(seconds(6));
  REQUIRE(world.log.count("upstream-replaced target=hail") == 1);
  // There may be no more than this one and another.
  REQUIRE(world.daemon().connections() == 2);
  for (std::uint8_t i = 4; i <= 7; ++i) {
    world.opened("hail", 1000 + i % 2).call(Remote::DOMAIN_GET_INFO, machine(i));
  }
  world.pass(seconds(1));
  REQUIRE(world.gate().snapshot().targets.at(0).overdue == 7);
  const long took = time_of(world, victim, machine(20));
  CHECK((took >= 0 && took <= 500));
}

TEST_CASE("calls that were given up are a daemon's workers until such calls are answered",
          "[proxy][stuck]") {
  World world;
  world.gate();
  RawClient& client = world.opened();
  std::uint8_t machines = 0;
  const auto lose_three = [&] {
    RawClient& gone = world.opened("hail", 1001);
    const auto first = static_cast<std::uint8_t>(machines + 1);
    machines = static_cast<std::uint8_t>(machines + 3);
    for (std::uint8_t i = first; i <= machines; ++i) {
      gone.call(Remote::DOMAIN_GET_INFO, machine(i));
    }
    world.settle();
    world.leave(gone);
    world.pass(seconds(130));
  };
  world.daemon().hold_if = [](const policy::Header& header, base::Bytes body) {
    return header.procedure == policy::number(Remote::DOMAIN_GET_INFO) &&
           body[body.size() - 5] < 100;
  };
  lose_three();
  REQUIRE(world.daemon().connections() == 1);
  for (int i = 0; i < 10; ++i) {
    lose_three();
    CHECK(world.daemon().held.size() <= 16);
    CHECK(time_of(world, client, machine(200)) == 0);
  }
  // An upstream that still waits for them keeps the daemon from getting more.
  CHECK(world.daemon().connections() > 1);
  world.daemon().hold_if = nullptr;
  world.daemon().answer_all();
  for (std::uint8_t i = 1; i <= machines; ++i) {
    client.call(Remote::DOMAIN_GET_INFO, machine(i));
    world.pass(seconds(1));
  }
  world.pass(seconds(130));
  hang(world, 1, 99);
  machines = 0;
  lose_three();
  CHECK(world.daemon().connections() == 1);
}

TEST_CASE("a daemon that refuses connections is not dialled without a pause while an old one lasts",
          "[proxy][stuck]") {
  World world;
  world.gate();
  hang(world, 1, 3);
  RawClient& client = world.opened();
  RawClient& gone = world.opened("hail", 1001);
  for (std::uint8_t i = 1; i <= 3; ++i) gone.call(Remote::DOMAIN_GET_INFO, machine(i));
  world.settle();
  world.leave(gone);
  world.pass(seconds(2));
  REQUIRE(world.log.count("upstream-replaced target=hail") == 1);
  REQUIRE(time_of(world, client, machine(9)) == 0);
  world.daemon().down = true;
  world.daemon().send(1, test::words({0}));
  world.settle();
  CHECK(world.daemon().connections() == 1);
  const std::size_t before = world.daemon().dials;
  const auto call = client.call(Remote::DOMAIN_GET_INFO, machine(9));
  world.pass(seconds(3));
  CHECK(world.daemon().dials > before);
  CHECK(world.daemon().dials < before + 10);
  world.daemon().down = false;
  world.pass(seconds(3));
  CHECK(client.ok(call));
}
