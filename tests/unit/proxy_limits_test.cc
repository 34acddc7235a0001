// Each user's clients, calls and unread bytes are bounded, stalled clients are ended in time, and a
// user at a limit costs the others nothing.
#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/world.h"

using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kCapabilities = policy::number(policy::Remote::CONNECT_GET_CAPABILITIES);
constexpr std::int32_t kXmlDesc = policy::number(policy::Remote::DOMAIN_GET_XML_DESC);
constexpr std::int32_t kBaselineCpu = policy::number(policy::Remote::CONNECT_BASELINE_CPU);

// The arguments of a call about one machine.
base::Buffer machine(std::uint32_t number) {
  return words({4, 0x6e616d65, number, number, number, number, number, 0});
}

// Of a daemon that gives this reply to calls of the procedure, which outlives it.
auto answers(std::int32_t procedure, const base::Buffer& reply) {
  return [procedure, &reply](const policy::Header& header, base::Bytes) {
    return header.procedure == procedure ? std::optional(reply) : std::nullopt;
  };
}

}  // namespace

TEST_CASE("a newcomer beyond the limit is told so") {
  World world;
  world.config.limits.clients = 3;
  world.opened();
  RawClient& second = world.opened();
  world.opened();
  RawClient& fourth = world.client();
  const auto open = fourth.open("hail");
  world.settle();
  const policy::RemoteError error = fourth.error(0);
  CHECK(error.code == 29);
  CHECK(error.text.find("its maximum of 3 clients") != std::string::npos);
  CHECK_FALSE(fourth.ok(open));
  CHECK(fourth.closed());
  world.leave(second);
  world.opened();
}

TEST_CASE("one user's limit is nobody else's") {
  World world;
  world.config.limits.clients_per_user = 2;
  world.opened("hail", 1000);
  world.opened("hail", 1000);
  RawClient& third = world.client(1000);
  third.open("hail");
  world.settle();
  CHECK(third.error(0).text.find("user 1000") != std::string::npos);
  world.opened("hail", 1001);
}

TEST_CASE("a flood of newcomers beyond the limit is cut off") {
  World world;
  world.config.limits.clients = 1;
  world.opened();
  std::vector<RawClient*> flood;
  for (int i = 0; i < 200; ++i) flood.push_back(&world.client());
  world.settle();
  CHECK(world.gate().clients() <= 1 + 64);
  world.pass(std::chrono::seconds(5));
  CHECK(world.gate().clients() == 1);
}

TEST_CASE("messages that are begun count, also of who has opened nothing") {
  World world;
  world.config.limits.user_buffer = 512 * 1024;
  world.config.limits.max_call = 256 * 1024;
  base::Buffer begun = words({256 * 1024, policy::kRemoteProgram});
  begun.resize(std::size_t{200} * 1024);
  RawClient& same = world.opened("hail", 1000);
  RawClient& other = world.opened("hail", 1001);
  std::vector<RawClient*> many;
  for (int i = 0; i < 3; ++i) many.push_back(&world.client(1000));
  for (RawClient* one : many) one->send(begun);
  world.pass(world.config.limits.open_timeout / 2);
  RawClient& newcomer = world.client(1000);
  // One call that is on its way is taken all the same.
  newcomer.call(policy::Remote::AUTH_LIST);
  world.settle();
  const auto unheard = newcomer.call(policy::Remote::AUTH_LIST);
  const auto heard = other.call(kLibVersion);
  // Of those at a target it takes nothing.
  const auto elsewhere = same.call(kLibVersion);
  world.settle();
  CHECK_FALSE(newcomer.ok(unheard));
  CHECK(other.ok(heard));
  CHECK(same.ok(elsewhere));
  world.pass(world.config.limits.open_timeout / 2 + std::chrono::seconds(1));
  for (RawClient* one : many) CHECK(one->closed());
  CHECK(newcomer.ok(unheard));
}

TEST_CASE("a message that is begun and not finished ends the connection in time") {
  World world;
  RawClient& client = world.opened();
  RawClient& other = world.opened();
  client.send(words({1000, policy::kRemoteProgram}));
  world.pass(world.config.limits.write_timeout - std::chrono::seconds(2));
  client.send(words({1}));
  CHECK_FALSE(client.closed());
  world.pass(std::chrono::seconds(4));
  CHECK(client.closed());
  CHECK(world.log.count("does not finish what it says") == 1);
  CHECK_FALSE(other.closed());
}

TEST_CASE("what the calls of one user hold is bounded, and all are answered") {
  World world;
  world.config.limits.user_buffer = 1024 * 1024;
  world.config.limits.max_call = 256 * 1024;
  const std::string text = "<cpu>" + std::string(std::size_t{50} * 1024 - 11, ' ') + "</cpu>";
  base::Buffer body = words({4});
  for (int i = 0; i < 4; ++i) {
    base::append(body, words({50 * 1024}));
    base::append(body, base::bytes_of(text));
  }
  base::append(body, words({0}));
  std::vector<RawClient*> greedy;
  for (int i = 0; i < 20; ++i) greedy.push_back(&world.opened("hail", 1000));
  RawClient& other = world.opened("hail", 1001);
  world.daemon().hold = true;
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 4; ++i) {
    for (RawClient* one : greedy) calls.push_back(one->call(kBaselineCpu, body));
  }
  world.settle();
  const auto taken = [&] {
    std::uint64_t sum = 0;
    for (const proxy::ClientSnapshot& one : world.gate().snapshot().clients) sum += one.calls;
    return sum;
  };
  // One that is on its way when it becomes too much, for each of them.
  CHECK(taken() <= 5 + greedy.size());
  const auto version = other.call(kLibVersion);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    world.daemon().answer_all();
    world.pass(std::chrono::milliseconds(50));
  }
  CHECK(other.ok(version));
  for (std::size_t i = 0; i < calls.size(); ++i) CHECK(greedy[i % greedy.size()]->ok(calls[i]));
}

TEST_CASE("a client that does not read stops being read, and nobody else notices") {
  const base::Buffer large = test::text_reply(std::size_t{300} * 1024);
  World world;
  world.config.limits.calls_per_client = 8;
  world.gate();
  world.daemon().reply = [&](const policy::Header& header, base::Bytes) {
    return header.procedure == kCapabilities ? std::optional(large) : std::nullopt;
  };
  RawClient& greedy = world.opened();
  RawClient& other = world.opened();
  greedy.stop_reading();
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 200; ++i) calls.push_back(greedy.call(kCapabilities));
  world.settle();
  CHECK(world.daemon().count(kCapabilities) <= 8);
  for (int i = 0; i < 20; ++i) {
    const auto version = other.call(kLibVersion);
    world.settle();
    CHECK(other.ok(version));
  }
  greedy.go_on_reading();
  world.settle();
  for (const auto serial : calls) CHECK(greedy.replies_to(serial) == 1);
}

TEST_CASE("a client that never reads is ended") {
  World world;
  world.gate();
  world.daemon().reply = [](const policy::Header&, base::Bytes) { return test::text_reply(4096); };
  RawClient& client = world.opened();
  client.stop_reading();
  client.call(kCapabilities);
  world.pass(std::chrono::seconds(55));
  CHECK(world.gate().clients() == 1);
  world.pass(std::chrono::seconds(10));
  CHECK(world.gate().clients() == 0);
  CHECK(world.log.count("does not read its answers") == 1);
}

TEST_CASE("what all clients of a user leave unread is bounded, and costs others nothing") {
  const base::Buffer large = test::text_reply(std::size_t{200} * 1024);
  World world;
  world.config.limits.user_buffer = 1 << 20;
  world.gate();
  world.daemon().reply = [&](const policy::Header& header, base::Bytes) {
    return header.procedure == kCapabilities ? std::optional(large) : std::nullopt;
  };
  std::vector<RawClient*> hoard;
  for (int i = 0; i < 50; ++i) {
    RawClient& client = world.opened("hail", 1000);
    client.stop_reading();
    client.call(kCapabilities);
    client.call(kCapabilities);
    hoard.push_back(&client);
  }
  world.settle();
  CHECK(world.daemon().count(kCapabilities) <= 6 + 16);
  RawClient& other = world.opened("hail", 1001);
  const auto version = other.call(kLibVersion);
  world.settle();
  CHECK(other.ok(version));
  for (RawClient* client : hoard) client->go_on_reading();
  world.pass(std::chrono::seconds(3));
  for (RawClient* client : hoard) CHECK(client->replies.size() == 4);
}

TEST_CASE("whoever waits for what others left unread goes on when they close or read") {
  const bool close = GENERATE(true, false);
  const base::Buffer large = test::text_reply(std::size_t{200} * 1024);
  World world;
  world.config.limits.user_buffer = 2 << 20;
  world.gate();
  world.daemon().reply = [&](const policy::Header& header, base::Bytes) {
    return header.procedure == kCapabilities ? std::optional(large) : std::nullopt;
  };
  std::vector<RawClient*> hoard;
  for (int i = 0; i < 11; ++i) hoard.push_back(&world.opened("hail", 1000));
  RawClient& held = world.opened("hail", 1000);
  for (RawClient* client : hoard) {
    client->stop_reading();
    client->call(kCapabilities);
  }
  world.settle();
  const auto version = held.call(kLibVersion);
  world.pass(std::chrono::seconds(1));
  CHECK_FALSE(held.ok(version));
  for (RawClient* client : hoard) close ? world.leave(*client) : client->go_on_reading();
  world.pass(std::chrono::milliseconds(100));
  CHECK(held.ok(version));
}

TEST_CASE("what a user leaves unread of one target costs its clients of another nothing") {
  const base::Buffer large = test::text_reply(std::size_t{200} * 1024);
  World world({"hail", "sleet"});
  world.config.limits.user_buffer = 1 << 20;
  world.gate();
  const auto long_one = answers(kCapabilities, large);
  world.daemon("hail").reply = long_one;
  world.daemon("sleet").reply = long_one;
  std::vector<RawClient*> hoard;
  for (int i = 0; i < 20; ++i) {
    RawClient& client = world.opened("hail", 1000);
    client.stop_reading();
    client.call(kCapabilities);
    hoard.push_back(&client);
  }
  world.settle();
  RawClient& same = world.opened("hail", 1000);
  RawClient& elsewhere = world.opened("sleet", 1000);
  const auto held = same.call(kLibVersion);
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(elsewhere.call(kCapabilities));
  world.settle();
  CHECK_FALSE(same.ok(held));
  for (const auto call : calls) CHECK(elsewhere.ok(call));
  // Nor may they hoard there as much again: of what all may have, theirs is half.
  std::vector<RawClient*> more;
  const std::size_t before = world.daemon("sleet").count(kCapabilities);
  for (int i = 0; i < 20; ++i) {
    RawClient& client = world.opened("sleet", 1000);
    client.stop_reading();
    client.call(kCapabilities);
    more.push_back(&client);
  }
  world.settle();
  CHECK(world.daemon("sleet").count(kCapabilities) - before <= 3 + 16);
  for (RawClient* client : hoard) client->go_on_reading();
  for (RawClient* client : more) client->go_on_reading();
  world.pass(std::chrono::seconds(3));
  CHECK(same.ok(held));
  for (RawClient* client : hoard) CHECK(client->replies.size() == 3);
  for (RawClient* client : more) CHECK(client->replies.size() == 3);
}

TEST_CASE("what all users leave unread is bounded together, and whoever has little goes on") {
  const bool close = GENERATE(true, false);
  const base::Buffer large = test::text_reply(std::size_t{200} * 1024);
  World world({"hail", "sleet"});
  world.config.limits.buffer = 8 << 20;
  world.config.limits.user_buffer = 4 << 20;
  world.gate();
  const auto long_one = answers(kCapabilities, large);
  world.daemon("hail").reply = long_one;
  world.daemon("sleet").reply = long_one;
  std::vector<RawClient*> hoard;
  for (uid_t uid = 1000; uid < 1040; ++uid) {
    for (const char* target : {"hail", "sleet", "hail", "sleet"}) {
      RawClient& client = world.opened(target, uid);
      client.stop_reading();
      client.call(kCapabilities);
      client.call(kCapabilities);
      hoard.push_back(&client);
      world.settle();
    }
  }
  RawClient& waits = world.opened("sleet", 1000);
  const auto held = waits.call(kLibVersion);
  world.pass(std::chrono::milliseconds(500));
  const proxy::Snapshot scarce = world.gate().snapshot();
  // In all it would be 64 MiB.
  CHECK(scarce.buffer.held <= (8 << 20) * 3 / 4 + 40 * large.size());
  CHECK(scarce.buffer.held > (8 << 20) / 2);
  CHECK(scarce.buffer.users_over_share > 0);
  CHECK_FALSE(waits.ok(held));
  RawClient& other = world.opened("hail", 2000);
  const auto version = other.call(kLibVersion);
  world.settle();
  CHECK(other.ok(version));
  for (RawClient* client : hoard) close ? world.leave(*client) : client->go_on_reading();
  world.pass(std::chrono::seconds(30));
  CHECK(waits.ok(held));
  CHECK(world.gate().snapshot().buffer.held == 0);
  if (close) return;
  for (RawClient* client : hoard) CHECK(client->replies.size() == 4);
}

TEST_CASE("calls are sent only while what they are likely to bring has room") {
  const base::Buffer large = test::text_reply(std::size_t{300} * 1024);
  World world;
  world.config.limits.user_buffer = 1 << 20;
  world.gate();
  world.daemon().reply = answers(kXmlDesc, large);
  std::vector<RawClient*> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(&world.opened("hail", 1000));
  const auto first = clients[0]->call(kXmlDesc, machine(0));
  world.settle();
  CHECK(clients[0]->ok(first));
  world.daemon().hold = true;
  std::vector<std::uint32_t> calls;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    calls.push_back(clients[i]->call(kXmlDesc, machine(static_cast<std::uint32_t>(i))));
  }
  world.settle();
  CHECK(world.gate().snapshot().buffer.expected >= 4 * large.size());
  CHECK(world.gate().snapshot().buffer.expected < 5 * (large.size() + 100));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    world.daemon().answer_all();
    world.pass(std::chrono::milliseconds(50));
  }
  for (std::size_t i = 0; i < calls.size(); ++i) CHECK(clients[i]->ok(calls[i]));
  CHECK(world.gate().snapshot().buffer.held == 0);
}

TEST_CASE("too many calls in flight pause the client, not the gate") {
  World world;
  world.config.limits.calls_per_client = 4;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  for (std::uint32_t i = 0; i < 100; ++i) {
    client.call(policy::Remote::DOMAIN_LOOKUP_BY_ID, words({i}));
  }
  world.settle();
  CHECK(world.daemon().held.size() == 4);
  for (int i = 0; i < 30; ++i) {
    world.daemon().answer_all();
    world.settle();
  }
  CHECK(client.replies.size() == 102);
}

TEST_CASE("a gate that stops answers the calls in flight first") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& idle = world.opened();
  RawClient& busy = world.opened();
  world.pass(std::chrono::seconds(4));
  const auto version = busy.call(kLibVersion);
  world.settle();
  bool done = false;
  world.gate().drain([&] { done = true; });
  world.settle();
  CHECK(idle.closed());
  CHECK_FALSE(busy.closed());
  world.daemon().answer_all();
  world.settle();
  CHECK(busy.ok(version));
  CHECK(busy.closed());
  world.pass(std::chrono::seconds(1));
  CHECK(done);
  world.drained();
}

TEST_CASE("a gate that stops lets those finish who have just come") {
  World world;
  world.gate();
  RawClient& silent = world.client();
  RawClient& calls = world.opened();
  bool done = false;
  world.gate().drain([&] { done = true; });
  world.settle();
  const auto open = silent.open("hail");
  const auto version = calls.call(kLibVersion);
  world.pass(std::chrono::milliseconds(600));
  CHECK(silent.ok(open));
  CHECK(calls.ok(version));
  const auto once_more = silent.call(kLibVersion);
  world.pass(std::chrono::milliseconds(600));
  CHECK(silent.ok(once_more));
  CHECK(calls.closed());
  CHECK_FALSE(silent.closed());
  world.pass(std::chrono::milliseconds(600));
  CHECK(silent.closed());
  world.pass(std::chrono::seconds(1));
  CHECK(done);
  world.drained();
}

TEST_CASE("a gate that stops does not let newcomers go on and on") {
  World world;
  world.gate();
  RawClient& busy = world.opened();
  bool done = false;
  world.gate().drain([&] { done = true; });
  for (int i = 0; i < 4; ++i) {
    CHECK_FALSE(busy.closed());
    busy.call(kLibVersion);
    world.pass(std::chrono::milliseconds(700));
  }
  world.pass(std::chrono::milliseconds(400));
  CHECK(busy.closed());
  world.pass(std::chrono::seconds(1));
  CHECK(done);
  world.drained();
}

TEST_CASE("a gate that stops does not wait for ever") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& busy = world.opened();
  busy.call(kLibVersion);
  RawClient& opening = world.client();
  opening.open("hail");
  world.settle();
  bool done = false;
  world.gate().drain([&] { done = true; });
  world.pass(std::chrono::seconds(9));
  CHECK_FALSE(done);
  world.pass(std::chrono::seconds(6));
  CHECK(done);
  world.drained();
}
