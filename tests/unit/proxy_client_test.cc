// The gate answers what concerns this hop by itself, lets nothing but the opening work before the
// open, and ends only the client that breaks the protocol.
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kOpen = policy::number(policy::Remote::CONNECT_OPEN);
constexpr std::int32_t kClose = policy::number(policy::Remote::CONNECT_CLOSE);
constexpr std::int32_t kDestroy = policy::number(policy::Remote::DOMAIN_DESTROY);
constexpr std::int32_t kFeature = policy::number(policy::Remote::CONNECT_SUPPORTS_FEATURE);
constexpr std::int32_t kHostname = policy::number(policy::Remote::CONNECT_GET_HOSTNAME);
constexpr std::int32_t kAuthList = policy::number(policy::Remote::AUTH_LIST);
constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kSetIdentity = policy::number(policy::Remote::CONNECT_SET_IDENTITY);

std::uint32_t first_word(const test::Reply* reply) {
  std::uint32_t word = 0;
  REQUIRE(reply != nullptr);
  REQUIRE(policy::XdrReader(reply->body).word(word));
  return word;
}

}  // namespace

TEST_CASE("the gate answers what concerns this hop by itself") {
  World world;
  RawClient& client = world.client();
  const auto list = client.call(kAuthList);
  const auto keepalive = client.call(kFeature, words({10}));
  world.settle();
  REQUIRE(client.ok(list));
  CHECK(client.reply(list)->body == words({1, 0}));
  CHECK(first_word(client.reply(keepalive)) == 1);
  CHECK(world.daemon().dials == 0);

  const auto open = client.call(kOpen, test::open_arguments("hail"));
  const auto passing = client.call(kFeature, words({8}));
  const auto callbacks = client.call(kFeature, words({14}));
  const auto closing = client.call(kFeature, words({15}));
  const auto watch = client.call(Remote::CONNECT_REGISTER_CLOSE_CALLBACK);
  const auto unwatch = client.call(Remote::CONNECT_UNREGISTER_CLOSE_CALLBACK);
  world.settle();
  CHECK(client.ok(open));
  CHECK(first_word(client.reply(passing)) == 0);
  CHECK(first_word(client.reply(callbacks)) == 1);
  CHECK(first_word(client.reply(closing)) == 1);
  CHECK(client.ok(watch));
  CHECK(client.ok(unwatch));
  CHECK(world.daemon().count(360) == 0);

  const auto other = client.call(kFeature, words({13}));
  world.settle();
  CHECK(client.ok(other));
  CHECK(world.daemon().count(kFeature) == 2);
}

TEST_CASE("nothing but the opening works before the open") {
  World world;
  RawClient& client = world.client();
  const auto early = client.call(kLibVersion);
  const auto feature = client.call(kFeature, words({14}));
  const auto event = client.call(Remote::CONNECT_DOMAIN_EVENT_REGISTER);
  world.settle();
  for (const auto serial : {early, feature, event}) {
    CHECK(client.error(serial).code == 1);
    CHECK(client.error(serial).text.find("hypervisor connection not open") != std::string::npos);
  }
  CHECK_FALSE(client.closed());
  const auto sasl = client.call(Remote::AUTH_SASL_INIT);
  world.settle();
  CHECK(client.error(sasl).code == 45);
}

TEST_CASE("calls that arrive before the open has finished wait for it") {
  World world;
  RawClient& client = world.client();
  client.open("hail");
  const auto version = client.call(kLibVersion);
  const auto hostname = client.call(kHostname);
  world.settle();
  CHECK(client.ok(version));
  CHECK(client.ok(hostname));
  const auto again = client.call(kOpen, test::open_arguments("hail"));
  world.settle();
  CHECK(client.error(again).code == 1);
  CHECK(world.daemon().count(kOpen) == 1);
}

TEST_CASE("what a client names never reaches a daemon") {
  World world;
  const std::vector<std::string> names = {
      "qemu+ssh://evil.example.com/system",
      "test:///etc/passwd",
      "test+unix:///hail?socket=/run/hail&command=/bin/sh",
      "test:///hail?name=evil",
      "qemu:///system?socket=/evil",
      std::string("hail\0evil", 9),
      "hail%00evil",
      "HAIL",
      " hail",
      "../hail",
      std::string(5000, 'a'),
      "remote+ssh://evil/",
      "esx://evil/",
      "hail\n",
      "\xff\xfe",
  };
  for (const std::string& name : names) {
    for (const std::uint32_t flags : {0U, 1U, 2U, 7U, 0xffffffffU}) {
      RawClient& client = world.client();
      client.call(kAuthList);
      const auto open = client.call(kOpen, test::open_arguments(name, flags));
      world.settle();
      REQUIRE(client.reply(open) != nullptr);
      world.leave(client);
    }
  }
  for (const std::uint32_t discriminator : {1U, 2U, 0x01000000U, 0xffffffffU}) {
    RawClient& client = world.client();
    base::Buffer body = test::open_arguments("hail");
    policy::store_word(body.data(), discriminator);
    const auto open = client.call(kOpen, body);
    const auto version = client.call(kLibVersion);
    world.settle();
    CHECK(client.ok(open));
    CHECK(client.ok(version));
    world.leave(client);
  }
  for (const std::string& opened : world.daemon().opened_names()) CHECK(opened == "test:///hail");
  CHECK_FALSE(world.daemon().opened_names().empty());
  for (const auto& asked : world.daemon().asked) {
    CHECK(base::text_of(asked.body).find("evil") == std::string_view::npos);
  }
}

TEST_CASE("an unknown name is refused with the names that would do") {
  World world({"hail", "sleet"});
  RawClient& client = world.client();
  const auto open = client.open("snow");
  world.settle();
  const policy::RemoteError error = client.error(open);
  CHECK(error.code == 5);
  CHECK(error.text.find("snow") != std::string::npos);
  CHECK(error.text.find("hail") != std::string::npos);
  CHECK(error.text.find("sleet") != std::string::npos);
  const auto second = client.call(kOpen, test::open_arguments("sleet"));
  world.settle();
  CHECK(client.ok(second));
}

TEST_CASE("without a name each target is tried until one opens") {
  World world({"hail", "sleet"});
  world.gate();
  world.daemon("hail").down = true;
  RawClient& client = world.client();
  const auto open = client.open("");
  world.settle();
  CHECK(client.ok(open));
  CHECK(world.daemon("hail").dials == 1);
  CHECK(world.daemon("sleet").opened_names() == std::vector<std::string>{"test:///sleet"});
}

TEST_CASE("refusals name the procedure, and the connection goes on") {
  World world;
  RawClient& client = world.opened();
  base::Buffer domain;
  policy::XdrWriter writer(domain);
  writer.string("web");
  writer.fixed(base::Buffer(16, 7));
  writer.number(1);
  const auto destroy = client.call(kDestroy, domain);
  const auto identity = client.call(kSetIdentity, words({0, 0}));
  const auto unknown = client.call(9999);
  const auto version = client.call(kLibVersion);
  world.settle();
  CHECK(client.error(destroy).code == 29);
  CHECK(client.error(destroy).text.find("DOMAIN_DESTROY") != std::string::npos);
  CHECK(client.error(identity).code == 29);
  CHECK(client.error(unknown).code == 39);
  CHECK(client.ok(version));
  CHECK(world.daemon().count(kDestroy) == 0);
  CHECK(world.daemon().count(kSetIdentity) == 0);
  CHECK(world.log.count("refused client=1 uid=1000") == 3);
  CHECK(world.log.count("procedure=DOMAIN_DESTROY") == 1);
}

TEST_CASE("input may be cut anywhere") {
  for (const std::size_t cut : std::vector<std::size_t>{1, 2, 3, 5, 7, 11, 27, 28, 29, 31, 64}) {
    World world;
    world.daemon().cut = cut;
    RawClient& client = world.client(1000, cut);
    const auto open = client.open("hail");
    std::vector<std::uint32_t> calls;
    for (int i = 0; i < 40; ++i) calls.push_back(client.call(kLibVersion));
    world.settle();
    CHECK(client.ok(open));
    for (const auto serial : calls) CHECK(client.replies_to(serial) == 1);
  }
}

TEST_CASE("a close is answered, and ends the connection") {
  World world;
  RawClient& client = world.opened();
  const auto version = client.call(kLibVersion);
  const auto close = client.call(kClose);
  world.settle();
  CHECK(client.ok(version));
  CHECK(client.ok(close));
  CHECK(client.ended);
  CHECK(client.closed());
  CHECK(world.gate().clients() == 0);
}

TEST_CASE("a client that breaks the frame is ended, and nobody else notices") {
  World world;
  RawClient& good = world.opened();
  for (const std::uint32_t length : {0U, 4U, 27U, 0x7fffffffU, 0xffffffffU}) {
    RawClient& bad = world.client();
    bad.send(words({length, 1, 2, 3, 4, 5, 6, 7}));
    world.settle();
    CHECK(bad.closed());
  }
  RawClient& files = world.opened();
  policy::Header header;
  header.type = static_cast<std::uint32_t>(policy::Type::call_with_fds);
  header.procedure = kLibVersion;
  header.serial = 50;
  files.send(test::frame(header, words({1})));
  world.settle();
  CHECK(files.closed());
  RawClient& half = world.opened();
  half.send(words({64, policy::kRemoteProgram}));
  const auto version = good.call(kLibVersion);
  world.settle();
  CHECK(good.ok(version));
}

TEST_CASE("keepalive runs with whoever asks for it") {
  World world;
  RawClient& silent = world.opened();
  RawClient& lively = world.client();
  lively.call(kFeature, words({10}));
  lively.open("hail");
  world.pass(std::chrono::seconds(31));
  CHECK(silent.pings == 0);
  CHECK(lively.pings == 6);
  CHECK_FALSE(lively.closed());
  lively.answer_pings = false;
  world.pass(std::chrono::seconds(31));
  CHECK(lively.closed());
  CHECK_FALSE(silent.closed());
  CHECK(world.log.count("it answered no keepalive") == 1);

  RawClient& asking = world.client();
  asking.send(base::Buffer());
  const auto ping = policy::keepalive_frame(policy::Keepalive::ping);
  asking.send({ping.begin(), ping.end()});
  const auto list = asking.call(kAuthList);
  world.settle();
  CHECK(asking.ok(list));
}

TEST_CASE("a client that opens nothing is ended in time") {
  World world;
  RawClient& client = world.client();
  client.call(kAuthList);
  world.pass(std::chrono::seconds(29));
  CHECK_FALSE(client.closed());
  world.pass(std::chrono::seconds(2));
  CHECK(client.closed());
}

TEST_CASE("one line tells of each open and each end") {
  World world;
  RawClient& client = world.opened();
  client.call(kLibVersion);
  world.settle();
  world.leave(client);
  CHECK(world.log.count("open client=1 uid=1000 pid=4711 target=hail") == 1);
  CHECK(world.log.count("close client=1 uid=1000 pid=4711 target=hail calls=1 refused=0") == 1);
}
