// Many clients share few upstreams, each reply goes to the client that asked, and calls of an
// upstream that is lost or silent move to another.
#include <set>

#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/stuck.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kHostname = policy::number(policy::Remote::CONNECT_GET_HOSTNAME);
constexpr std::int32_t kRegister =
    policy::number(policy::Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY);

}  // namespace

TEST_CASE("replies go to whoever asked, in whatever order they come") {
  World world;
  world.gate();
  world.daemon().hold = true;
  std::vector<RawClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&world.opened());
  std::vector<std::uint32_t> serials;
  for (RawClient* client : clients)
    serials.push_back(client->call(Remote::DOMAIN_LOOKUP_BY_ID,
                                   words({100 + static_cast<std::uint32_t>(serials.size())})));
  world.settle();
  REQUIRE(world.daemon().held.size() == 4);
  std::set<std::uint32_t> upstream_serials;
  for (const auto& held : world.daemon().held) upstream_serials.insert(held.header.serial);
  CHECK(upstream_serials.size() == 4);
  for (const std::size_t which : {2U, 0U, 1U, 0U}) {
    world.daemon().answer(which);
    world.settle();
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    REQUIRE(clients[i]->ok(serials[i]));
    CHECK(clients[i]->reply(serials[i])->body ==
          test::usual_reply(Remote::DOMAIN_LOOKUP_BY_ID, words({100 + i})));
    CHECK(clients[i]->replies.size() == 3);
  }
}

TEST_CASE(
    "an upstream never has more than four calls in flight, a target never more upstreams than it "
    "may") {
  World world;
  world.config.targets[0].upstreams = 3;
  world.gate();
  std::vector<RawClient*> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(&world.opened());
  test::ask_of_ids(world, *clients[0], 100);
  world.daemon().hold = true;
  CHECK(world.daemon().dials == 1);
  std::vector<std::uint32_t> serials;
  for (RawClient* client : clients) {
    serials.push_back(client->call(Remote::DOMAIN_LOOKUP_BY_ID,
                                   words({static_cast<std::uint32_t>(serials.size())})));
  }
  world.settle();
  CHECK(world.daemon().connections() == 3);
  CHECK(world.daemon().held.size() == 12);
  std::map<std::size_t, int> each;
  for (const auto& held : world.daemon().held) ++each[held.connection];
  for (const auto& [connection, calls] : each) CHECK(calls == 4);
  for (int i = 0; i < 20; ++i) {
    world.daemon().answer_all();
    world.settle();
    CHECK(world.daemon().held.size() <= 12);
  }
  for (std::size_t i = 0; i < clients.size(); ++i) CHECK(clients[i]->ok(serials[i]));
  CHECK(world.daemon().dials == 3);
}

TEST_CASE("a thousand clients share few connections") {
  World world;
  for (int i = 0; i < 1000; ++i) {
    RawClient& client = world.client();
    client.open("hail");
    client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({static_cast<std::uint32_t>(i)}));
  }
  world.settle();
  CHECK(world.gate().clients() == 1000);
  CHECK(world.daemon().dials <= 4);
  CHECK(world.daemon().count(policy::number(Remote::DOMAIN_LOOKUP_BY_ID)) == 1000);
}

TEST_CASE("who asks for much does not keep others waiting") {
  World world;
  world.config.targets[0].upstreams = 1;
  world.config.limits.calls_per_client = 1000;
  world.gate();
  world.daemon().hold = true;
  RawClient& greedy = world.opened();
  RawClient& modest = world.opened();
  for (int i = 0; i < 500; ++i) greedy.call(kHostname);
  world.settle();
  const auto version = modest.call(kLibVersion);
  world.settle();
  CHECK(world.daemon().count(kLibVersion) == 1);
  CHECK(world.daemon().count(kHostname) == 1);
  world.daemon().answer_all();
  world.settle();
  CHECK(modest.ok(version));
}

TEST_CASE("calls of a lost upstream are sent again") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  std::vector<std::uint32_t> serials;
  for (int i = 0; i < 4; ++i)
    serials.push_back(
        client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({static_cast<std::uint32_t>(i)})));
  world.settle();
  world.daemon().kill_all();
  world.settle();
  CHECK(world.daemon().dials == 2);
  CHECK(client.replies.size() == 2);
  world.daemon().held.erase(world.daemon().held.begin(), world.daemon().held.begin() + 4);
  // Not all at once, since any of them may have been the cause.
  for (int i = 0; i < 4; ++i) {
    CHECK(world.daemon().held.size() < 4);
    world.daemon().answer_all();
    world.settle();
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    REQUIRE(client.ok(serials[i]));
    CHECK(client.reply(serials[i])->body ==
          test::usual_reply(Remote::DOMAIN_LOOKUP_BY_ID, words({i})));
  }
  CHECK(world.log.count("upstream-lost target=hail") == 1);
}

TEST_CASE("a call that takes two upstreams with it is given up") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto poison = client.call(kLibVersion);
  for (int i = 0; i < 2; ++i) {
    world.pass(std::chrono::milliseconds(200));
    CHECK(client.reply(poison) == nullptr);
    world.daemon().kill_all();
  }
  world.settle();
  CHECK(client.error(poison).code == 38);
  CHECK(client.error(poison).text.find("target 'hail'") != std::string::npos);
  CHECK(client.error(poison).text.find("lost 2 times") != std::string::npos);
  world.daemon().hold = false;
  const auto version = client.call(kLibVersion);
  world.pass(std::chrono::seconds(1));
  CHECK(client.ok(version));
}

TEST_CASE("a daemon that hangs up as soon as it is open is not dialled as fast as that") {
  const bool event = GENERATE(false, true);
  World world;
  world.gate();
  world.daemon().hold = !event;
  RawClient& client = world.opened();
  const auto asked = event ? client.call(kRegister, words({0, 0})) : client.call(kLibVersion);
  world.settle();
  for (int i = 0; i < 2000; ++i) {
    world.daemon().kill_all();
    world.pass(std::chrono::milliseconds(5));
  }
  CHECK(world.daemon().dials <= 12);
  CHECK(world.daemon().dials >= (event ? 3 : 2));
  if (!event) CHECK(client.error(asked).text.find("lost 2 times") != std::string::npos);
  world.daemon().hold = false;
  const auto version = client.call(kLibVersion);
  world.pass(std::chrono::seconds(3));
  CHECK(client.ok(version));
  if (event) CHECK(client.ok(asked));

  const std::size_t before = world.daemon().dials;
  world.pass(std::chrono::seconds(20));
  world.daemon().kill_all();
  const auto later = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(later));
  CHECK(world.daemon().dials == before + 1);
}

TEST_CASE("a daemon that is started again is dialled at once, however many upstreams it had") {
  World world;
  world.gate();
  std::vector<RawClient*> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(&world.opened());
  test::ask_of_ids(world, *clients[0], 16);
  world.daemon().hold = true;
  for (std::uint32_t i = 0; i < 16; ++i) {
    clients[i]->call(Remote::DOMAIN_LOOKUP_BY_ID, words({i}));
  }
  world.pass(std::chrono::milliseconds(300));
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.settle();
  REQUIRE(world.daemon().connections() == 4);
  world.daemon().kill_all();
  world.settle();
  const auto version = clients[0]->call(kLibVersion);
  world.settle();
  CHECK(clients[0]->ok(version));
}

TEST_CASE("a target that was never there is refused at once, with what the system said") {
  World world;
  world.gate();
  world.daemon().down = true;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  CHECK(client.error(open).code == 38);
  CHECK(client.error(open).text.find("target 'hail': connect: Connection refused") !=
        std::string::npos);
  CHECK_FALSE(client.closed());
  world.daemon().down = false;
  world.pass(std::chrono::seconds(3));
  const auto again = client.call(Remote::CONNECT_OPEN, test::open_arguments("hail"));
  world.settle();
  CHECK(client.ok(again));
}

TEST_CASE("what this host lacked is no refusal, and is forgotten at once") {
  World world;
  world.gate();
  world.daemon().exhausted = true;
  RawClient& client = world.client();
  auto open = client.open("hail");
  world.settle();
  for (int i = 0; i < 20; ++i) {
    CHECK(client.error(open).text.find("target 'hail': handshake: Too many open files") !=
          std::string::npos);
    open = client.call(Remote::CONNECT_OPEN, test::open_arguments("hail"));
    world.pass(std::chrono::milliseconds(150));
  }
  // No more often than that, whoever asks how often.
  CHECK(world.daemon().dials <= 22);
  world.daemon().exhausted = false;
  const auto again = client.call(Remote::CONNECT_OPEN, test::open_arguments("hail"));
  world.pass(std::chrono::milliseconds(150));
  CHECK(client.ok(again));
}

TEST_CASE("clients of a target that was there wait while this host lacks something") {
  World world;
  RawClient& client = world.opened();
  world.daemon().exhausted = true;
  world.daemon().kill_all();
  world.settle();
  const auto version = client.call(kLibVersion);
  world.pass(std::chrono::seconds(3));
  CHECK(client.reply(version) == nullptr);
  world.daemon().exhausted = false;
  world.pass(std::chrono::milliseconds(150));
  CHECK(client.ok(version));
}

TEST_CASE("no call is blamed for the connections that this host had no memory for") {
  World world;
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto version = client.call(kLibVersion);
  for (int i = 0; i < 4; ++i) {
    world.pass(std::chrono::seconds(3));
    REQUIRE(world.daemon().held.size() == 1);
    world.daemon().held.clear();
    world.daemon().starve_all();
  }
  world.daemon().hold = false;
  world.pass(std::chrono::seconds(5));
  CHECK(client.ok(version));
}

TEST_CASE("a target that comes back in time costs its clients nothing but time") {
  World world;
  RawClient& client = world.opened();
  world.daemon().down = true;
  world.daemon().kill_all();
  world.settle();
  const auto version = client.call(kLibVersion);
  world.pass(std::chrono::seconds(8));
  CHECK(client.reply(version) == nullptr);
  world.daemon().down = false;
  world.pass(std::chrono::seconds(3));
  CHECK(client.ok(version));
}

TEST_CASE("a target that stays away is an error that says so") {
  World world;
  RawClient& client = world.opened();
  world.daemon().down = true;
  world.daemon().kill_all();
  world.settle();
  const auto version = client.call(kLibVersion);
  world.pass(std::chrono::seconds(13));
  CHECK(client.error(version).code == 38);
  CHECK(client.error(version).text.find("target 'hail': connect: Connection refused") !=
        std::string::npos);
  CHECK_FALSE(client.closed());
  const std::size_t dials = world.daemon().dials;
  world.pass(std::chrono::minutes(5));
  CHECK(world.daemon().dials == dials);
  world.daemon().down = false;
  const auto later = client.call(kLibVersion);
  world.pass(std::chrono::seconds(3));
  CHECK(client.ok(later));
}

TEST_CASE("what a daemon says of an open reaches the client, and dials are spaced out") {
  World world;
  world.gate();
  world.daemon().open_error = "me";
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  CHECK(client.error(open).code == 5);
  CHECK(client.error(open).text.find(
            "target 'hail': open: no connection driver available for me") != std::string::npos);
  for (int i = 0; i < 50; ++i) {
    const auto again = client.call(Remote::CONNECT_OPEN, test::open_arguments("hail"));
    world.settle();
    CHECK(client.error(again).code == 5);
  }
  CHECK(world.daemon().dials <= 2);
}

TEST_CASE("an unknown authentication is an error, polkit is asked for") {
  World world;
  world.gate();
  world.daemon().auth = 9;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  CHECK(client.error(open).code == 45);
  world.daemon().auth = 2;
  world.pass(std::chrono::seconds(2));
  const auto again = client.call(Remote::CONNECT_OPEN, test::open_arguments("hail"));
  world.pass(std::chrono::seconds(2));
  CHECK(client.ok(again));
  CHECK(world.daemon().count(70) == 1);
}

TEST_CASE("a daemon that never speaks is given up in time, at every stage") {
  World world;
  world.gate();
  world.daemon().silent = true;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.pass(std::chrono::seconds(11));
  CHECK(client.error(open).text.find("authentication: no answer within 10000 ms") !=
        std::string::npos);
  world.daemon().silent = false;
  RawClient& other = world.opened();
  world.daemon().silent = true;
  const auto version = other.call(kLibVersion);
  world.pass(std::chrono::seconds(29));
  CHECK(other.reply(version) == nullptr);
  world.pass(std::chrono::seconds(40));
  CHECK(other.replies_to(version) == 1);
  CHECK(other.error(version).code == 68);
}

TEST_CASE("a silent upstream is found out by keepalive before anybody asks") {
  World world;
  RawClient& client = world.opened();
  world.daemon().black_holes = {0};
  world.pass(std::chrono::seconds(21));
  CHECK(world.log.count("the daemon answered no keepalive for 20 s") == 1);
  const auto version = client.call(kLibVersion);
  world.pass(std::chrono::seconds(1));
  CHECK(client.ok(version));
  CHECK(world.daemon().dials == 2);
}

TEST_CASE("calls that are not answered in time fail, and their upstream is replaced") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  std::vector<std::uint32_t> serials;
  for (int i = 0; i < 4; ++i) serials.push_back(client.call(kLibVersion));
  world.pass(std::chrono::seconds(29));
  for (const auto serial : serials) CHECK(client.reply(serial) == nullptr);
  world.pass(std::chrono::seconds(2));
  for (const auto serial : serials) {
    CHECK(client.error(serial).code == 68);
    CHECK(client.error(serial).text.find("no answer within 30000 ms") != std::string::npos);
  }
  world.daemon().hold = false;
  const auto version = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(version));
  CHECK(world.daemon().dials == 2);
}

TEST_CASE("an answer that comes too late goes to nobody") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto slow = client.call(kLibVersion);
  world.pass(std::chrono::seconds(31));
  CHECK(client.error(slow).code == 68);
  world.daemon().answer_all();
  world.settle();
  CHECK(client.replies_to(slow) == 1);
  CHECK(world.daemon().dials == 1);
}

TEST_CASE("a daemon that breaks the rules loses the connection, and calls move on") {
  policy::Header reply;
  reply.type = static_cast<std::uint32_t>(policy::Type::reply);
  reply.procedure = kLibVersion;
  reply.serial = 77777;
  policy::Header stream = reply;
  stream.type = static_cast<std::uint32_t>(policy::Type::stream);
  policy::Header call = reply;
  call.type = 0;
  policy::Header status = reply;
  status.status = 2;
  policy::Header program = reply;
  program.program = policy::kQemuProgram;
  policy::Header event = reply;
  event.type = static_cast<std::uint32_t>(policy::Type::message);
  event.procedure = number(Remote::DOMAIN_EVENT_LIFECYCLE);
  policy::Header unknown_event = event;
  unknown_event.procedure = 5000;
  policy::Header short_event = event;
  short_event.procedure = number(Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE);
  for (const policy::Header& header :
       {reply, stream, call, status, program, event, unknown_event, short_event}) {
    World world;
    world.gate();
    world.daemon().hold = true;
    RawClient& client = world.opened();
    const auto version = client.call(kLibVersion);
    world.settle();
    world.daemon().held.clear();
    world.daemon().hold = false;
    world.daemon().send(0, test::frame(header, {}));
    world.settle();
    CHECK(client.ok(version));
    CHECK(world.daemon().dials == 2);
  }
  for (const std::uint32_t length : {0U, 27U, 0xffffffffU, (32U << 20) + 5}) {
    World world;
    RawClient& client = world.opened();
    world.daemon().send(0, words({length, 0, 0, 0, 0, 0, 0}));
    world.settle();
    const auto version = client.call(kLibVersion);
    world.settle();
    CHECK(client.ok(version));
    CHECK(world.daemon().dials == 2);
  }
}

TEST_CASE("a right serial with the wrong procedure is no answer") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto version = client.call(kLibVersion);
  world.settle();
  policy::Header header = world.daemon().held.front().header;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  header.procedure = kHostname;
  world.daemon().held.clear();
  world.daemon().hold = false;
  world.daemon().send(0, test::frame(header, words({1})));
  world.settle();
  REQUIRE(client.ok(version));
  CHECK(client.reply(version)->body == test::usual_reply(Remote::CONNECT_GET_LIB_VERSION, {}));
}

TEST_CASE("upstreams that nobody needs go, the last one stays warm") {
  World world;
  world.gate();
  RawClient& first = world.opened();
  test::ask_of_ids(world, first, 40);
  world.leave(first);
  world.daemon().hold = true;
  std::vector<RawClient*> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(&world.opened());
    clients.back()->call(Remote::DOMAIN_LOOKUP_BY_ID, words({static_cast<std::uint32_t>(i)}));
  }
  world.settle();
  CHECK(world.daemon().connections() == 4);
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.pass(std::chrono::seconds(60));
  CHECK(world.daemon().connections() == 1);
  CHECK(world.daemon().count(2) == 3);
  for (RawClient* client : clients) client->hang_up();
  world.pass(std::chrono::minutes(9));
  CHECK(world.daemon().connections() == 1);
  world.pass(std::chrono::minutes(2));
  CHECK(world.daemon().connections() == 0);
  world.opened();
}

TEST_CASE("however a daemon ends what the gate has ended, it is no loss") {
  World world;
  world.gate();
  const auto partings = test::partings();
  const auto which = GENERATE_COPY(range(std::size_t{0}, partings.size()));
  world.daemon().part = partings[which];
  RawClient& client = world.opened();
  std::size_t there = 1;
  SECTION("idle") {
    client.hang_up();
    world.pass(std::chrono::minutes(11));
  }
  SECTION("drained") {
    there = 0;  // its counters go with the target
    bool done = false;
    world.drained();
    world.gate().drain([&] { done = true; });
    world.pass(std::chrono::seconds(60));
    CHECK(done);
  }
  CHECK(world.daemon().count(2) == 1);
  CHECK(world.daemon().connections() == 0);
  CHECK(world.log.count("upstream-lost") == 0);
  CHECK(world.log.count("upstream-failed") == 0);
  std::size_t checked = 0;
  for (const proxy::TargetCounters& one : world.gate().snapshot().counters) {
    CHECK(one.lost.sum() == 0);
    CHECK(one.breaches == 0);
    if (one.name == "hail") ++checked;
  }
  CHECK(checked == there);
}

TEST_CASE("a client that leaves takes its calls with it") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& gone = world.opened();
  for (std::uint32_t i = 0; i < 10; ++i) gone.call(Remote::DOMAIN_LOOKUP_BY_ID, words({i}));
  world.settle();
  RawClient& client = world.opened();
  const auto version = client.call(kLibVersion);
  world.leave(gone);
  world.settle();
  world.daemon().answer_all();
  world.settle();
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(version));
  CHECK(world.daemon().count(policy::number(Remote::DOMAIN_LOOKUP_BY_ID)) == 4);
}

TEST_CASE("a fault at any moment is survived") {
  for (int moment = 0; moment < 60; ++moment) {
    World world;
    world.gate();
    world.daemon().cut = 16;
    RawClient& client = world.client(1000, 16);
    const auto open = client.open("hail");
    std::vector<std::uint32_t> serials;
    for (int i = 0; i < 6; ++i) serials.push_back(client.call(kLibVersion));
    for (int i = 0; i < moment; ++i) world.clock.advance(world.clock.now());
    world.daemon().kill_all();
    world.pass(std::chrono::seconds(5));
    INFO("moment " << moment);
    REQUIRE(client.replies_to(open) == 1);
    if (!client.ok(open)) continue;
    for (const auto serial : serials) {
      CHECK(client.replies_to(serial) == 1);
      CHECK(client.ok(serial));
    }
  }
}
