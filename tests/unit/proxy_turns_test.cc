// A turn of the loop does a bounded piece of work for each client and each upstream.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "policy/procedures.h"
#include "proxy/upstream/upstream.h"
#include "proxy/visitor/turns.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using proxy::Turns;
using proxy::Upstream;
using test::RawClient;
using test::words;
using test::World;

namespace {

base::Buffer many(Remote procedure, std::size_t count) {
  base::Buffer out;
  policy::Header header;
  header.procedure = policy::number(procedure);
  for (std::size_t i = 0; i < count; ++i) {
    header.serial = static_cast<std::uint32_t>(100 + i);
    base::append(out, test::frame(header, {}));
  }
  return out;
}

// One turn; what has been asked is answered in it or in the next.
void turn(World& world) { world.clock.advance(world.clock.now()); }

std::uint64_t refused(World& world, uid_t uid) {
  std::uint64_t sum = 0;
  for (const auto& client : world.gate().snapshot().clients) {
    if (client.uid == uid) sum += client.refused;
  }
  return sum;
}

// The most that is refused to a user in one turn, until there is nothing more.
std::uint64_t most_in_a_turn(World& world, uid_t uid, std::uint64_t all) {
  std::uint64_t most = 0;
  std::uint64_t before = refused(world, uid);
  for (int i = 0; i < 20000 && before < all; ++i) {
    turn(world);
    const std::uint64_t now = refused(world, uid);
    most = std::max(most, now - before);
    before = now;
  }
  CHECK(before == all);
  return most;
}

// While it lives each message takes so long.
class SlowWork {
 public:
  SlowWork(World& world, tunnel::io::Microseconds of_one) : world_(world) {
    // Asked before and after each.
    world.clock.read_work_from(
        [at = tunnel::io::Microseconds(0), of_one]() mutable { return at += of_one; });
  }
  SlowWork(const SlowWork&) = delete;
  SlowWork& operator=(const SlowWork&) = delete;
  ~SlowWork() { world_.clock.read_work_from({}); }

 private:
  World& world_;
};

// A call that is at the daemon, and the header that its reply is to have.
std::pair<std::uint32_t, policy::Header> ask_for_statistics(World& world, RawClient& client) {
  world.daemon().hold = true;
  const auto serial = client.call(Remote::CONNECT_GET_ALL_DOMAIN_STATS, words({0, 0, 0}));
  world.settle();
  REQUIRE(world.daemon().held.size() == 1);
  policy::Header header = world.daemon().held.front().header;
  world.daemon().held.clear();
  world.daemon().hold = false;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  return {serial, header};
}

}  // namespace

TEST_CASE("a client that floods gets a part of each turn, before its open and after it",
          "[proxy][turns]") {
  const bool opened = GENERATE(false, true);
  World world;
  RawClient& flood = opened ? world.opened() : world.client();
  world.settle();
  flood.send(many(Remote::DOMAIN_DESTROY, 1000));
  CHECK(most_in_a_turn(world, 1000, 1000) == Turns::kOfClient);
  CHECK(flood.error(100).code != 0);
  world.settle();
  for (std::uint32_t i = 0; i < 1000; ++i) REQUIRE(flood.replies_to(100 + i) == 1);
}

TEST_CASE("all clients of a user have one part of each turn, and take turns in it",
          "[proxy][turns]") {
  World world;
  std::vector<RawClient*> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(&world.opened());
  RawClient& other = world.opened("hail", 1001);
  for (RawClient* client : clients) client->send(many(Remote::DOMAIN_DESTROY, 200));
  turn(world);
  const auto serial = other.call(Remote::CONNECT_GET_LIB_VERSION);
  const std::uint64_t before = refused(world, 1000);
  int turns = 0;
  while (!other.ok(serial) && turns < 100) {
    turn(world);
    ++turns;
  }
  CHECK(turns <= 10);
  CHECK(refused(world, 1000) - before <=
        static_cast<std::uint64_t>((turns + 1) * (Turns::kOfUser + Turns::kOfClient)));
  const std::uint64_t most = most_in_a_turn(world, 1000, 40U * 200U);
  CHECK(most <= Turns::kOfUser + Turns::kOfClient);
  world.settle();
  for (const RawClient* client : clients) CHECK(client->replies_to(299) == 1);
}

TEST_CASE("long messages count by their length", "[proxy][turns]") {
  World world;
  RawClient& flood = world.opened();
  base::Buffer sent;
  for (int i = 0; i < 40; ++i) {
    policy::Header header;
    header.procedure = policy::number(Remote::DOMAIN_DESTROY);
    header.serial = static_cast<std::uint32_t>(100 + i);
    base::append(sent, test::frame(header, base::Buffer(16 * Turns::kMessage)));
  }
  flood.send(sent);
  CHECK(most_in_a_turn(world, 1000, 40) == 2);
}

TEST_CASE("messages that take long count by their time", "[proxy][turns]") {
  World world;
  RawClient& flood = world.opened();
  const SlowWork slow(world, Turns::kTime * 10);
  flood.send(many(Remote::DOMAIN_DESTROY, 200));
  // The last may take more than is left.
  CHECK(most_in_a_turn(world, 1000, 200) == Turns::kOfClient / 10 + 1);
  for (int i = 0; i < 15; ++i) world.opened().send(many(Remote::DOMAIN_DESTROY, 50));
  const auto most = most_in_a_turn(world, 1000, 200 + 15 * 50);
  CHECK(most <= Turns::kOfUser / 10 + Turns::kOfClient / 10 + 2);
}

TEST_CASE("a client that goes while others wait for their turn leaves nothing behind",
          "[proxy][turns]") {
  World world;
  std::vector<RawClient*> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(&world.opened());
  for (RawClient* client : clients) client->send(many(Remote::DOMAIN_DESTROY, 500));
  turn(world);
  turn(world);
  for (std::size_t i = 0; i < clients.size(); i += 2) clients[i]->hang_up();
  world.settle();
  for (std::size_t i = 1; i < clients.size(); i += 2) CHECK(clients[i]->replies_to(599) == 1);
}

TEST_CASE("a daemon that floods gets a part of each turn", "[proxy][turns]") {
  World world;
  RawClient& client = world.opened();
  const auto pings = [&] {
    base::Buffer out;
    for (int i = 0; i < 2000; ++i) {
      const auto ping = policy::keepalive_frame(policy::Keepalive::ping);
      base::append(out, ping);
    }
    return out;
  };
  world.daemon().send(0, pings());
  std::uint64_t before = world.gate().snapshot().counters_of("hail")->traffic.out;
  std::uint64_t most = 0;
  for (int i = 0; i < 40; ++i) {
    turn(world);
    const std::uint64_t now = world.gate().snapshot().counters_of("hail")->traffic.out;
    most = std::max(most, (now - before) / policy::kHeaderSize);
    before = now;
  }
  CHECK(most == Upstream::kMessagesOfTurn);
  const auto serial = client.call(Remote::CONNECT_GET_LIB_VERSION);
  world.settle();
  CHECK(client.ok(serial));
}

TEST_CASE("what a daemon says counts by the time that it takes", "[proxy][turns]") {
  World world;
  world.opened();
  const SlowWork slow(world, Upstream::kTimeOfTurn / 4);
  base::Buffer pings;
  for (int i = 0; i < 100; ++i) {
    base::append(pings, policy::keepalive_frame(policy::Keepalive::ping));
  }
  world.daemon().send(0, pings);
  const auto sent = [&] { return world.gate().snapshot().counters_of("hail")->traffic.out; };
  std::uint64_t before = sent();
  const std::uint64_t all = before + 100 * policy::kHeaderSize;
  std::uint64_t most = 0;
  for (int i = 0; i < 200 && before < all; ++i) {
    turn(world);
    const std::uint64_t now = sent();
    most = std::max(most, (now - before) / policy::kHeaderSize);
    before = now;
  }
  CHECK(before == all);
  CHECK(most == 4);
}

TEST_CASE("a reply of very many values is decoded over several turns", "[proxy][turns]") {
  constexpr std::uint32_t kParameters = 700000;
  // The body of one that comes at once lies where the next bytes will.
  const std::ptrdiff_t cut = GENERATE(0, 1000000);
  World world({"hail", "sleet"});
  RawClient& client = world.opened();
  RawClient& other = world.opened("sleet", 1001);
  const auto [stats, header] = ask_for_statistics(world, client);
  const base::Buffer body = test::empty_statistics(4, kParameters / 4);
  base::Buffer sent = test::frame(header, body);
  base::append(sent, policy::keepalive_frame(policy::Keepalive::ping));
  if (cut != 0) {
    world.daemon().send(0, base::Buffer(sent.begin(), sent.begin() + cut));
    world.settle();
    sent.erase(sent.begin(), sent.begin() + cut);
  }
  const SlowWork slow(world, Upstream::kTimeOfTurn / 4);
  world.daemon().send(0, sent);
  const std::size_t steps = 4 * Upstream::kStepsAtOnce;
  std::size_t turns = 0;
  std::size_t heard = 0;
  auto version = other.call(Remote::CONNECT_GET_LIB_VERSION);
  while (client.replies_to(stats) == 0 && turns < 1000) {
    turn(world);
    ++turns;
    if (!other.ok(version)) continue;
    ++heard;
    version = other.call(Remote::CONNECT_GET_LIB_VERSION);
  }
  CHECK(turns >= kParameters / steps);
  CHECK(turns <= kParameters / steps + 6);
  CHECK(heard >= 2);
  REQUIRE(client.ok(stats));
  const bool same = client.reply(stats)->body == body;
  CHECK(same);
  version = client.call(Remote::CONNECT_GET_LIB_VERSION);
  world.settle();
  CHECK(client.ok(version));
  CHECK(world.daemon().dials == 1);
}

TEST_CASE("a connection may end while a reply of it is decoded", "[proxy][turns]") {
  const bool malformed = GENERATE(false, true);
  World world;
  RawClient& client = world.opened();
  const auto [stats, header] = ask_for_statistics(world, client);
  base::Buffer body = test::empty_statistics(2, 150000);
  if (malformed) body.resize(body.size() + 4);
  {
    const SlowWork slow(world, Upstream::kTimeOfTurn);
    world.daemon().send(0, test::frame(header, body));
    turn(world);
    turn(world);
    CHECK(client.replies_to(stats) == 0);
    if (!malformed) world.daemon().kill_all();
  }
  world.pass(std::chrono::seconds(3));
  CHECK(client.replies_to(stats) == 1);
  CHECK(client.ok(stats));
  const bool same = client.reply(stats)->body == body;
  CHECK_FALSE((malformed && same));
  CHECK(world.log.count("4 bytes left over") == (malformed ? 1 : 0));
}

TEST_CASE("a daemon says little before the connection is open", "[proxy][turns]") {
  World world;
  world.daemon().silent = true;
  RawClient& client = world.client();
  client.open("hail");
  world.settle();
  base::Buffer pings;
  while (pings.size() <= Upstream::kMostBeforeReady) {
    const auto ping = policy::keepalive_frame(policy::Keepalive::ping);
    base::append(pings, ping);
  }
  world.daemon().send(0, pings);
  world.settle();
  CHECK(world.log.count("upstream-failed target=hail") == 1);
  CHECK(world.log.count("bytes before the connection was open") >= 1);
  world.daemon().silent = false;
}
