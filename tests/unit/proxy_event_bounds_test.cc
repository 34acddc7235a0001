// Events that come too early are kept up to a bound, and an event that is longer than libvirt's
// limit or than a client's room is not sent on.
#include "policy/procedures.h"
#include "policy/reply.h"
#include "policy/xdr.h"
#include "proxy/upstream/events.h"
#include "proxy/upstream/upstream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kRegister =
    policy::number(policy::Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY);
constexpr std::int32_t kLifecycle = policy::number(policy::Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE);
constexpr std::int32_t kReboot = policy::number(policy::Remote::DOMAIN_EVENT_CALLBACK_REBOOT);

// Of a domain whose name makes it `size` bytes long, which is a multiple of four.
base::Buffer event(std::uint32_t id, std::size_t size, const std::vector<std::uint32_t>& rest) {
  base::Buffer body = words({id});
  policy::XdrWriter to(body);
  to.string(std::string(size - 28 - 4 * rest.size(), 'n'));
  to.fixed(base::Buffer(16, 1));
  to.word(3);
  for (const std::uint32_t word : rest) to.word(word);
  return body;
}

base::Buffer lifecycle(std::uint32_t id, std::size_t size) { return event(id, size, {2, 0}); }

base::Buffer one_domain(std::uint8_t uuid) {
  base::Buffer body = words({0, 1, 0});
  body.insert(body.end(), 16, uuid);
  base::append(body, words({3}));
  return body;
}

}  // namespace

TEST_CASE("events that come too early are kept up to a bound", "[proxy][events]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  client.call(kRegister, words({0, 0}));
  world.settle();
  const std::size_t size = proxy::Events::kMostEarly * 2 / 5 / 4 * 4;
  for (int i = 0; i < 40; ++i) {
    world.daemon().send_event(kLifecycle, lifecycle(70, size));
    world.settle();
  }
  world.daemon().send_event(kLifecycle, lifecycle(70, 100));
  world.settle();
  CHECK(client.events.empty());
  world.daemon().answer_all();
  world.settle();
  REQUIRE(client.events.size() == 3);
  CHECK(client.events[0].body.size() == size);
  CHECK(client.events[1].body.size() == size);
  CHECK(client.events[2].body.size() == 100);
  world.daemon().send_event(kLifecycle, lifecycle(70, size));
  world.settle();
  CHECK(client.events.size() == 4);
}

TEST_CASE("events that come too early are forgotten once nobody waits to be registered",
          "[proxy][events]") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto first = client.call(kRegister, one_domain(1));
  world.settle();
  world.daemon().send_event(kLifecycle, lifecycle(70, 100));
  world.daemon().send_event(kLifecycle, lifecycle(71, 100));
  world.settle();
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(first));
  CHECK(client.events.size() == 1);
  const auto second = client.call(kRegister, one_domain(2));
  world.settle();
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(second));
  CHECK(client.events.size() == 1);
  world.daemon().send_event(kLifecycle, lifecycle(71, 100));
  world.settle();
  CHECK(client.events.size() == 2);
}

TEST_CASE("an event is as long as libvirt lets it be", "[proxy][events]") {
  const bool good = GENERATE(true, false);
  World world;
  RawClient& client = world.opened();
  client.call(kRegister, words({0, 0}));
  world.settle();
  // The longest there is has one string of libvirt's longest.
  const std::size_t size = good ? policy::kMaxReplyString + 36 : proxy::Upstream::kMostEvent + 4;
  world.daemon().send_event(kLifecycle, lifecycle(70, size));
  world.settle();
  CHECK(client.events.size() == (good ? 1 : 0));
  CHECK(world.daemon().dials == (good ? 1 : 2));
  CHECK(world.log.count("the daemon sent an event of " + std::to_string(size) + " bytes") ==
        (good ? 0 : 1));
  const auto version = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(version));
}

TEST_CASE("an event that a client has no room for is not sent to it", "[proxy][events]") {
  World world;
  world.config.limits.client_buffer = 100000;
  RawClient& client = world.opened();
  client.call(kRegister, words({0, 0}));
  world.settle();
  client.stop_reading();
  for (int i = 0; i < 2; ++i) world.daemon().send_event(kLifecycle, lifecycle(70, 40000));
  world.settle();
  CHECK(world.gate().clients() == 1);
  CHECK(world.gate().snapshot().users.at(0).buffered == 2 * 40028);
  world.daemon().send_event(kLifecycle, lifecycle(70, 40000));
  world.settle();
  CHECK(world.gate().clients() == 0);
  CHECK(world.log.count("it does not read its events") == 1);
  CHECK(world.gate().snapshot().counters_of("hail")->events == 2);
}

TEST_CASE("one event is not sent to more clients of a user than its buffer has room for",
          "[proxy][events]") {
  World world;
  world.config.limits.user_buffer = 1 << 20;
  world.gate();
  std::vector<RawClient*> deaf;
  for (int i = 0; i < 40; ++i) deaf.push_back(&world.opened("hail", 1000));
  RawClient& other = world.opened("hail", 1001);
  for (RawClient* client : deaf) client->call(kRegister, words({0, 0}));
  other.call(kRegister, words({0, 0}));
  world.settle();
  for (RawClient* client : deaf) client->stop_reading();
  world.daemon().send_event(kLifecycle, lifecycle(70, 100000));
  world.settle();
  CHECK(other.events.size() == 1);
  CHECK(world.gate().clients() == 10 + 1);
  CHECK(world.log.count("the clients of its user do not read what they get") == 30);
  CHECK(world.gate().snapshot().counters_of("hail")->events == 10 + 1);
}

TEST_CASE("what the clients of a user have read leaves room for the next event",
          "[proxy][events]") {
  World world;
  world.config.limits.user_buffer = 1 << 20;
  world.gate();
  std::vector<RawClient*> clients;
  for (std::uint32_t i = 0; i < 80; ++i) {
    clients.push_back(&world.opened("hail", 1000));
    clients.back()->call(kRegister, words({i % 2, 0}));
    world.settle();
  }
  world.daemon().send_event(kLifecycle, lifecycle(70, 20000));
  world.settle();
  world.daemon().send_event(kReboot, event(71, 20000, {}));
  world.settle();
  CHECK(world.gate().clients() == 80);
  for (const RawClient* client : clients) CHECK(client->events.size() == 1);
}
