// A daemon that breaks the rules loses the connection; what was asked of it moves on, and the log
// says so.
#include <functional>

#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/world.h"

using policy::Header;
using policy::Remote;
using policy::Status;
using policy::Type;
using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = number(Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kRegister = number(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY);
constexpr std::int32_t kLifecycle = number(Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE);

struct Breach {
  const char* name;
  std::function<void(Header&)> change;
  base::Buffer body = {};
};

Header message(std::uint32_t program, std::int32_t procedure) {
  Header header;
  header.program = program;
  header.procedure = procedure;
  header.type = static_cast<std::uint32_t>(Type::message);
  return header;
}

// Each makes of the right reply to a call something that nobody asked for.
std::vector<Breach> breaches() {
  const auto type = [](std::uint32_t value) { return [value](Header& h) { h.type = value; }; };
  const auto status = [](std::uint32_t value) { return [value](Header& h) { h.status = value; }; };
  const auto event = [](std::uint32_t program, std::int32_t procedure) {
    return [=](Header& h) { h = message(program, procedure); };
  };
  const auto keepalive = [](std::int32_t procedure, auto more) {
    return [=](Header& h) {
      h = message(policy::kKeepaliveProgram, procedure);
      more(h);
    };
  };
  const auto plain = [](Header&) {};
  return {
      {"a call", type(0)},
      {"a stream", type(3)},
      {"a call with files", type(4), words({0})},
      {"a reply with files", type(5), words({0})},
      {"a hole", type(6)},
      {"an unknown type", type(7)},
      {"an unknown type far off", type(0xffffffff)},
      {"an error that is none", status(1), words({38, 7, 0})},
      {"an error without a body", status(1)},
      {"a status of streams", status(2)},
      {"an unknown status", status(3)},
      {"another serial", [](Header& h) { h.serial += 1; }},
      {"a serial far off", [](Header& h) { h.serial = 0xffffffff; }},
      {"another procedure", [](Header& h) { h.procedure = number(Remote::CONNECT_GET_HOSTNAME); }},
      {"no procedure", [](Header& h) { h.procedure = -1; }},
      {"another version", [](Header& h) { h.version = 2; }},
      {"another program", [](Header& h) { h.program = policy::kQemuProgram; }},
      {"an unknown program", [](Header& h) { h.program = 1; }},
      {"an event of no number", event(policy::kRemoteProgram, 5000), words({0, 0})},
      {"a procedure as an event", event(policy::kRemoteProgram, kLibVersion), words({0, 0})},
      {"an event of the monitor", event(policy::kQemuProgram, 6), words({0, 0})},
      {"an older event", event(policy::kRemoteProgram, 107), words({0, 0})},
      {"an event without an id", event(policy::kRemoteProgram, kLifecycle), words({})},
      {"an event of another version",
       [](Header& h) {
         h = message(policy::kRemoteProgram, kLifecycle);
         h.version = 2;
       },
       words({0, 0})},
      {"an event with a status",
       [](Header& h) {
         h = message(policy::kRemoteProgram, kLifecycle);
         h.status = 1;
       },
       words({0, 0})},
      {"a keepalive with a body", keepalive(1, plain), words({0})},
      {"an answer to it with a body", keepalive(2, plain), words({0})},
      {"an unknown keepalive", keepalive(3, plain)},
      {"a keepalive of another version", keepalive(1, [](Header& h) { h.version = 2; })},
      {"a keepalive with a status", keepalive(1, [](Header& h) { h.status = 1; })},
      {"a keepalive as a reply", keepalive(1, [](Header& h) { h.type = 1; })},
  };
}

base::Buffer reply_to(const Header& call, const Breach& breach) {
  Header header = call;
  header.type = static_cast<std::uint32_t>(Type::reply);
  breach.change(header);
  return test::frame(header, breach.body);
}

}  // namespace

TEST_CASE("what answers no call ends the connection, and the call moves on", "[proxy][breach]") {
  for (const Breach& breach : breaches()) {
    CAPTURE(breach.name);
    World world;
    world.gate();
    world.daemon().hold = true;
    RawClient& client = world.opened();
    const auto version = client.call(kLibVersion);
    world.settle();
    REQUIRE(world.daemon().held.size() == 1);
    const Header call = world.daemon().held.front().header;
    world.daemon().held.clear();
    world.daemon().hold = false;
    world.daemon().send(0, reply_to(call, breach));
    world.settle();
    CHECK(client.replies_to(version) == 1);
    CHECK(client.ok(version));
    CHECK(client.events.empty());
    CHECK(world.daemon().dials == 2);
    CHECK(world.daemon().connections() == 1);
    CHECK(world.log.count("upstream-lost target=hail reason=") == 1);
    CHECK(world.log.count("in_flight=1") == 1);
  }
}

TEST_CASE("a daemon that answers twice loses the connection", "[proxy][breach]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto first = client.call(kLibVersion);
  const auto second = client.call(number(Remote::CONNECT_GET_HOSTNAME));
  world.settle();
  const test::ScriptedDaemon::Asked call = world.daemon().held.front();
  const Breach none{"none", [](Header&) {}, words({0, 7})};
  base::Buffer twice = reply_to(call.header, none);
  base::append(twice, reply_to(call.header, none));
  world.daemon().held.clear();
  world.daemon().hold = false;
  world.daemon().send(0, twice);
  world.settle();
  CHECK(client.replies_to(first) == 1);
  CHECK(client.reply(first)->body == words({0, 7}));
  CHECK(client.replies_to(second) == 1);
  CHECK(client.ok(second));
  CHECK(world.daemon().dials == 2);
  CHECK(world.log.count("answered a call that was not made") == 1);
}

TEST_CASE("until a connection is open, nothing but the next answer may come", "[proxy][breach]") {
  const Remote at =
      GENERATE(Remote::AUTH_LIST, Remote::CONNECT_SUPPORTS_FEATURE, Remote::CONNECT_OPEN);
  std::vector<Breach> all = breaches();
  const auto well_formed = [](Header& h) { h = message(policy::kRemoteProgram, kLifecycle); };
  all.push_back({"an event", well_formed, words({0, 0})});
  for (const Breach& breach : all) {
    CAPTURE(breach.name, number(at));
    World world;
    world.gate();
    world.daemon().silent_at = number(at);
    RawClient& client = world.client();
    const auto open = client.open("hail");
    world.settle();
    REQUIRE(world.daemon().asked.back().header.procedure == number(at));
    world.daemon().send(0, reply_to(world.daemon().asked.back().header, breach));
    world.settle();
    CHECK(client.error(open).code == 39);
    CHECK(client.error(open).text.find("target 'hail'") != std::string::npos);
    CHECK(world.log.count("upstream-failed target=hail reason=") == 1);
    world.daemon().silent_at = 0;
    const auto again = client.call(number(Remote::CONNECT_OPEN), test::open_arguments("hail"));
    world.pass(std::chrono::seconds(1));
    CHECK(client.ok(again));
  }
}

TEST_CASE("a message is as long as its limit at most", "[proxy][breach]") {
  struct Case {
    std::size_t size;
    bool good;
  };
  const auto [size, good] = GENERATE(Case{1000, true}, Case{1004, false}, Case{100000, false});
  CAPTURE(size);
  bool once = true;
  const std::size_t length = size;
  World world;
  world.config.limits.max_message = 1000;
  world.gate();
  world.daemon().reply = [&](const Header&, base::Bytes) -> std::optional<base::Buffer> {
    if (!std::exchange(once, false)) return std::nullopt;
    return test::text_reply(length - policy::kHeaderSize);
  };
  RawClient& client = world.opened();
  const auto version = client.call(number(Remote::CONNECT_GET_HOSTNAME));
  world.settle();
  REQUIRE(client.ok(version));
  CHECK((client.reply(version)->body.size() == size - policy::kHeaderSize) == good);
  CHECK(world.daemon().dials == (good ? 1 : 2));
  CHECK(world.log.count("announced a message of " + std::to_string(size) + " bytes") ==
        (good ? 0 : 1));
}

TEST_CASE("a callback id that is none or given already is no answer", "[proxy][breach]") {
  const bool given = GENERATE(false, true);
  World world;
  RawClient& client = world.opened();
  const auto first = client.call(kRegister, words({0, 0}));
  world.settle();
  REQUIRE(client.ok(first));
  const std::int32_t id = world.daemon().next_callback_id - 1;
  world.daemon().hold = true;
  const auto second = client.call(kRegister, words({1, 0}));
  world.settle();
  REQUIRE(world.daemon().held.size() == 1);
  const Header call = world.daemon().held.front().header;
  world.daemon().held.clear();
  world.daemon().hold = false;
  const Breach answer{"", [](Header&) {},
                      given ? words({static_cast<std::uint32_t>(id)}) : base::Buffer()};
  world.daemon().send(0, reply_to(call, answer));
  world.settle();
  CHECK(client.replies_to(second) == 1);
  CHECK(client.ok(second));
  CHECK(world.daemon().dials == 2);
  CHECK(world.log.count(given ? "answered a registration with no callback id, or"
                              : "that ends inside callbackID") == 1);
  world.daemon().send_event(kLifecycle,
                            words({static_cast<std::uint32_t>(id + 1), 0, 0, 0, 0, 0, 0, 0, 0}));
  world.settle();
  CHECK(client.events.size() == 1);
}

TEST_CASE("keepalives whose answers are not read end the connection", "[proxy][breach]") {
  struct Case {
    std::size_t pings;
    bool good;
  };
  const auto [pings, good] = GENERATE(Case{20000, true}, Case{20000, false});
  World world;
  RawClient& client = world.opened();
  base::Buffer flood;
  for (std::size_t i = 0; i < pings; ++i) {
    base::append(flood, policy::keepalive_frame(policy::Keepalive::ping));
  }
  if (!good) world.daemon().stop_reading(0);
  world.daemon().send(0, flood);
  world.settle();
  CHECK(
      world.log.count("upstream-lost target=hail reason=\"the daemon sends keepalives and does not "
                      "read the answers\"") == (good ? 0 : 1));
  const auto version = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(version));
  CHECK(world.daemon().dials == (good ? 1 : 2));
  world.daemon().kill_all();
  world.settle();
}

TEST_CASE("who breaks the rules each time is not dialled as fast as that", "[proxy][breach]") {
  const bool event = GENERATE(false, true);
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto asked = event ? client.call(kRegister, words({0, 0})) : client.call(kLibVersion);
  const Breach wrong{"", [](Header& h) { h.serial += 1; }};
  for (int i = 0; i < 2000; ++i) {
    world.pass(std::chrono::milliseconds(5));
    for (const auto& held : std::exchange(world.daemon().held, {})) {
      world.daemon().send(held.connection, reply_to(held.header, wrong));
    }
  }
  CHECK(world.daemon().dials <= 12);
  // A call is sent to no third upstream, while registrations are made anew again and again.
  if (event) CHECK(world.daemon().dials >= 3);
  if (!event) CHECK(world.daemon().dials >= 2);
  if (!event) CHECK(client.error(asked).text.find("lost 2 times") != std::string::npos);
  world.daemon().hold = false;
  RawClient& other = world.client();
  other.open("hail");
  const auto version = other.call(kLibVersion);
  world.pass(std::chrono::seconds(3));
  CHECK(other.ok(version));
  if (event) CHECK(client.ok(asked));
}

TEST_CASE("a reply that libvirt does not send reaches nobody", "[proxy][breach]") {
  World world;
  world.gate();
  const std::size_t good = GENERATE(as<std::size_t>{}, 0, 1, 2);
  const std::size_t wrong = 2 - good;
  std::size_t sent = 0;
  world.daemon().reply = [&](const Header& header, base::Bytes) -> std::optional<base::Buffer> {
    if (header.procedure != number(Remote::CONNECT_GET_HOSTNAME)) return std::nullopt;
    return sent++ < wrong ? std::optional(words({4, 0x68610000, 0})) : std::nullopt;
  };
  RawClient& client = world.opened();
  RawClient& other = world.opened();
  const auto hostname = client.call(number(Remote::CONNECT_GET_HOSTNAME));
  world.pass(std::chrono::seconds(3));
  const auto version = other.call(kLibVersion);
  world.settle();
  CHECK(other.ok(version));
  CHECK(client.replies_to(hostname) == 1);
  CHECK(client.ok(hostname) == (wrong < 2));
  CHECK(world.daemon().dials == 1 + wrong);
  if (wrong < 2) return;
  const std::string text = client.error(hostname).text;
  CHECK(text.find("sent a reply to CONNECT_GET_HOSTNAME with a string that ends in NUL in "
                  "hostname") != std::string::npos);
}

TEST_CASE("an event that libvirt does not send reaches nobody", "[proxy][breach]") {
  World world;
  RawClient& client = world.opened();
  client.call(kRegister, words({0, 0}));
  world.settle();
  world.daemon().send_event(kLifecycle, words({70, 0, 1, 2, 3, 4, 5, 0, 0, 0}));
  world.settle();
  CHECK(client.events.empty());
  CHECK(world.log.count("DOMAIN_EVENT_CALLBACK_LIFECYCLE with 4 bytes left over") == 1);
  world.pass(std::chrono::seconds(3));
  CHECK(world.daemon().dials == 2);
}
