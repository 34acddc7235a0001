// A connection that is dead is told from a daemon that is slow, and calls leave it long before
// their deadline.
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using Catch::Matchers::Contains;
using policy::Remote;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kPing = policy::number(policy::Keepalive::ping);

std::size_t pings(World& world) {
  const auto& asked = world.daemon().asked;
  return static_cast<std::size_t>(std::ranges::count_if(asked, [](const auto& one) {
    return one.header.program == policy::kKeepaliveProgram && one.header.procedure == kPing;
  }));
}

base::Buffer ping_of_its_own() {
  const auto ping = policy::keepalive_frame(policy::Keepalive::ping);
  return {ping.begin(), ping.end()};
}

proxy::TargetSnapshot target_of(World& world) { return world.gate().snapshot().targets.at(0); }

}  // namespace

TEST_CASE("calls on a dead connection move long before their deadline", "[silence]") {
  const bool alone = GENERATE(true, false);
  World world;
  if (alone) {
    world.config.targets[0].upstreams = 1;
    world.config.targets[0].spare = 0;
  }
  RawClient& client = world.opened();
  world.pass(seconds(20));
  world.daemon().black_holes = {0};
  std::vector<std::uint32_t> serials;
  for (std::uint32_t i = 0; i < 4; ++i) {
    serials.push_back(client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({i})));
  }
  world.pass(seconds(10));
  for (const auto serial : serials) CHECK(client.ok(serial));
  CHECK(world.daemon().dials == 2);
  CHECK(world.daemon().connections() == 1);
  CHECK(world.log.count("upstream-silent target=hail") == 1);
  CHECK(world.log.count("upstream-lost target=hail") == 1);
  CHECK(world.log.count("and the daemon answers on another") == 1);
}

TEST_CASE("a dial that hangs with the others does not hold up the one that finds out",
          "[silence]") {
  World world;
  world.gate();
  std::vector<RawClient*> clients(6);
  for (RawClient*& client : clients) client = &world.opened();
  world.daemon().black_holes = {0, 1};
  std::vector<std::uint32_t> serials;
  for (std::uint32_t i = 0; i < 6; ++i) {
    serials.push_back(clients[i]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({i})));
  }
  world.pass(seconds(1));
  CHECK(world.daemon().dials == 2);
  world.pass(seconds(8));
  for (std::size_t i = 0; i < 6; ++i) CHECK(clients[i]->ok(serials[i]));
  CHECK(world.daemon().dials == 3);
}

TEST_CASE("where calls have little time, a dead connection is found out as much sooner",
          "[silence]") {
  World world;
  world.config.targets[0].call_timeout = seconds(4);
  RawClient& client = world.opened();
  world.daemon().black_holes = {0};
  const auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({7}));
  world.pass(milliseconds(2500));
  CHECK(client.ok(call));
}

TEST_CASE("a daemon that is slow is not taken for dead", "[silence]") {
  World world;
  world.config.targets[0].call_timeout = seconds(600);
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({7}));
  world.pass(seconds(500));
  CHECK(world.daemon().dials == 1);
  CHECK(world.log.count("upstream-silent") == 0);
  CHECK(target_of(world).silent_ms == 0);
  CHECK(pings(world) > 0);
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(call));
}

TEST_CASE("a connection that has died beside one that lives needs no other", "[silence]") {
  World world;
  world.config.targets[0].upstreams = 2;
  world.gate();
  std::vector<RawClient*> clients(4);
  for (RawClient*& client : clients) client = &world.opened();
  world.daemon().hold = true;
  for (std::uint32_t i = 0; i < 8; ++i) {
    clients[i % 4]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({i}));
  }
  world.settle();
  CHECK(world.daemon().dials == 2);
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.settle();
  world.daemon().black_holes = {0};
  std::vector<std::uint32_t> serials;
  for (std::uint32_t i = 0; i < 4; ++i) {
    serials.push_back(clients[i]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({10 + i})));
  }
  world.pass(seconds(10));
  for (std::size_t i = 0; i < 4; ++i) CHECK(clients[i]->ok(serials[i]));
  CHECK(world.daemon().dials == 2);
  CHECK(world.log.count("and the daemon answers on another") == 1);
}

TEST_CASE("calls do not go to a connection that is silent, and wait for one that is not",
          "[silence]") {
  World world;
  RawClient& client = world.opened();
  world.daemon().black_holes = {0};
  client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({1}));
  world.daemon().down = true;
  world.pass(seconds(6));
  const auto late = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({2}));
  world.pass(seconds(1));
  CHECK(target_of(world).waiting == 1);
  CHECK(target_of(world).in_flight == 1);
  world.daemon().down = false;
  world.pass(seconds(6));
  CHECK(client.ok(late));
}

TEST_CASE("a daemon that is silent everywhere is said to be, and not dialled without end",
          "[silence]") {
  World world;
  RawClient& client = world.opened();
  world.daemon().silent = true;
  const auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({1}));
  world.pass(seconds(8));
  CHECK(target_of(world).state == "open");
  CHECK(target_of(world).silent_ms >= 7000);
  CHECK(target_of(world).upstreams.at(0).silent_ms == target_of(world).silent_ms);
  world.pass(seconds(24));
  CHECK(client.error(call).code == 68);
  CHECK(world.daemon().dials <= 4);
  CHECK(world.log.count("and the daemon answers on another") == 0);
}

TEST_CASE("a call that times out while all is silent says so, and blames no machine", "[silence]") {
  World world;
  world.config.targets[0].keepalive_count = 100;
  RawClient& client = world.opened();
  world.daemon().silent = true;
  const auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({1}));
  world.pass(seconds(31));
  CHECK_THAT(client.error(call).text,
             Contains("no answer within 30000 ms; the daemon has answered nothing for 30 s, no "
                      "ping either"));
  CHECK(world.log.count("subject-silent") == 0);
}

TEST_CASE("what is on two connections that die is not sent a third time", "[silence]") {
  World world;
  world.config.targets[0].call_timeout = seconds(120);
  RawClient& client = world.opened();
  world.daemon().black_holes = {0};
  const auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({1}));
  world.daemon().hold = true;
  world.pass(seconds(10));
  REQUIRE(world.daemon().held.size() == 1);
  world.daemon().black_holes = {0, 1};
  world.pass(seconds(120));
  CHECK_THAT(client.error(call).text, Contains("no answer within 120000 ms"));
  CHECK(world.daemon().held.size() == 1);
  // Nobody waits for it any more.
  world.pass(seconds(10));
  CHECK(world.daemon().connections() == 1);
}

TEST_CASE("a daemon that takes few calls at once and works on them is not taken for dead",
          "[silence]") {
  const auto most = static_cast<std::size_t>(GENERATE(1, 2, 3, 4));
  World world;
  world.config.targets[0].call_timeout = seconds(90);
  world.gate();
  std::vector<RawClient*> clients(most);
  for (RawClient*& client : clients) client = &world.opened();
  world.daemon().max_client_requests = most;
  world.daemon().hold = true;
  const auto ask = [&](std::uint32_t what) {
    std::vector<std::uint32_t> serials;
    for (std::uint32_t i = 0; i < most; ++i) {
      serials.push_back(clients[i]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({what + i})));
    }
    return serials;
  };
  const auto check = [&](const std::vector<std::uint32_t>& serials) {
    world.daemon().answer_all();
    world.pass(seconds(1));
    for (std::uint32_t i = 0; i < most; ++i) CHECK(clients[i]->ok(serials[i]));
  };
  auto serials = ask(0);
  // At first they are lost as on a connection that is dead, then to learn how many may lie there,
  // and then no more.
  world.pass(seconds(60));
  CHECK(world.log.count("upstream-lost") <= 2);
  world.daemon().hold = false;
  check(serials);
  // Others may not be at one connection together, and then pings are read.
  if (most == 1) CHECK(world.log.count("few-requests target=hail") == 1);
  // From now on it is known.
  const auto lost = world.log.count("upstream-lost");
  world.daemon().hold = true;
  serials = ask(10);
  world.pass(seconds(60));
  check(serials);
  CHECK(world.log.count("upstream-lost") == lost);
}

TEST_CASE("calls that a daemon of few requests leaves unread behind one that hangs move on",
          "[silence]") {
  const auto most = static_cast<std::size_t>(GENERATE(1, 2));
  const bool pings_itself = GENERATE(true, false);
  World world;
  world.gate();
  std::vector<RawClient*> clients(4);
  for (RawClient*& client : clients) client = &world.opened();
  auto& daemon = world.daemon();
  daemon.max_client_requests = most;
  daemon.hold_if = [most](const auto&, base::Bytes body) {
    return !body.empty() && body.back() < most;
  };
  const auto pass = [&](int time) {
    for (int i = 0; i < time; ++i) {
      world.pass(seconds(1));
      for (std::size_t one = 0; pings_itself && one < daemon.dials; ++one) {
        daemon.send(one, ping_of_its_own());
      }
    }
  };
  const auto ask = [&](std::uint32_t what) {
    return clients[what % 4]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({what}));
  };
  std::vector<std::uint32_t> serials;
  for (std::uint32_t i = 0; i < 4; ++i) serials.push_back(ask(i));
  pass(10);
  for (std::size_t i = most; i < 4; ++i) CHECK(clients[i]->ok(serials[i]));
  // Of one that says nothing at all it is known the next time.
  const auto next = ask(7);
  pass(pings_itself ? 1 : 10);
  CHECK(clients[3]->ok(next));
  // From now on nothing lies behind what hangs, and that is waited for.
  const auto lost = world.log.count("upstream-lost");
  const auto asked = daemon.held.size();
  CHECK(world.log.count("few-requests target=hail") == 1);
  for (std::uint32_t i = 0; i < 8; ++i) {
    const auto serial = clients[3]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({10 + i}));
    pass(1);
    CHECK(clients[3]->ok(serial));
  }
  CHECK(world.log.count("upstream-lost") == lost);
  CHECK(daemon.held.size() == asked);
  daemon.hold_if = nullptr;
  daemon.answer_all();
  world.settle();
  for (std::size_t i = 0; i < most; ++i) CHECK(clients[i]->ok(serials[i]));
}

TEST_CASE("a daemon that was thought to take few calls gets more once it answers beside them",
          "[silence]") {
  World world;
  world.config.targets[0].upstreams = 1;
  world.config.targets[0].spare = 0;
  world.gate();
  std::vector<RawClient*> clients(4);
  for (RawClient*& client : clients) client = &world.opened();
  auto& daemon = world.daemon();
  daemon.max_client_requests = 1;
  daemon.hold = true;
  for (std::uint32_t i = 0; i < 4; ++i) {
    clients[i]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({i}));
  }
  for (int i = 0; i < 8; ++i) {
    world.pass(seconds(1));
    daemon.send(0, ping_of_its_own());
  }
  REQUIRE(world.log.count("few-requests target=hail calls=1") == 1);
  daemon.max_client_requests = 0;
  daemon.hold = false;
  daemon.answer_all();
  world.pass(seconds(40));
  daemon.hold = true;
  daemon.held.clear();
  for (std::uint32_t i = 0; i < 4; ++i) {
    clients[i]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({20 + i}));
  }
  world.pass(seconds(1));
  CHECK(daemon.held.size() == 4);
}

TEST_CASE("a long answer that takes its time to come is no silence", "[silence]") {
  World world;
  RawClient& client = world.opened();
  auto& daemon = world.daemon();
  daemon.hold = true;
  const auto call = client.call(Remote::CONNECT_GET_CAPABILITIES, {});
  world.settle();
  REQUIRE(daemon.held.size() == 1);
  policy::Header header = daemon.held[0].header;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  base::Buffer body;
  policy::XdrWriter(body).string(std::string(3000, 'x'));
  const base::Buffer reply = test::frame(header, body);
  daemon.black_holes = {0};
  for (std::size_t at = 0; at < reply.size(); at += 200) {
    daemon.send(0, {reply.begin() + static_cast<long>(at),
                    reply.begin() + static_cast<long>(std::min(at + 200, reply.size()))});
    world.pass(seconds(1));
  }
  CHECK(client.ok(call));
  CHECK(world.log.count("upstream-silent") == 0);
}

TEST_CASE("what is known of a daemon that took few calls ends when it takes more", "[silence]") {
  World world;
  world.config.targets[0].call_timeout = seconds(90);
  RawClient& client = world.opened();
  world.daemon().max_client_requests = 1;
  world.daemon().hold = true;
  auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({1}));
  world.pass(seconds(60));
  world.daemon().answer_all();
  world.pass(milliseconds(200));
  REQUIRE(client.ok(call));
  REQUIRE(world.log.count("few-requests target=hail calls=1") == 1);
  world.daemon().max_client_requests = 0;
  call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({2}));
  world.pass(seconds(10));
  world.daemon().answer_all();
  world.settle();
  REQUIRE(client.ok(call));
  const auto lost = world.log.count("upstream-lost");
  for (std::size_t i = 0; i < world.daemon().dials; ++i) world.daemon().black_holes.insert(i);
  call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({3}));
  world.pass(seconds(10));
  CHECK(world.log.count("upstream-lost") == lost + 1);
}

TEST_CASE("without keepalive nobody is asked, and nothing is taken for dead", "[silence]") {
  World world;
  world.config.targets[0].keepalive_interval = milliseconds(0);
  RawClient& client = world.opened();
  world.daemon().black_holes = {0};
  const auto call = client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({1}));
  world.pass(seconds(31));
  CHECK(client.error(call).code == 68);
  CHECK(world.daemon().dials == 1);
  CHECK(pings(world) == 0);
}
