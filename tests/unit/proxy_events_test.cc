// The gate registers an event once at the daemon and gives it to each subscriber under its own id,
// and no client can undo another's registration.
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kRegister =
    policy::number(policy::Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY);
constexpr std::int32_t kDeregister =
    policy::number(policy::Remote::CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY);
constexpr std::int32_t kLifecycle = policy::number(policy::Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE);
constexpr std::int32_t kOldLifecycle = policy::number(policy::Remote::DOMAIN_EVENT_LIFECYCLE);

// A domain, and what became of it.
const base::Buffer kDomain = words({4, 0x74657374, 1, 2, 3, 4, 5});
const base::Buffer kRest = words({4, 0x74657374, 1, 2, 3, 4, 5, 6, 7});

base::Buffer event(std::uint32_t id) {
  base::Buffer body = words({id});
  base::append(body, kRest);
  return body;
}

base::Buffer any_domain(std::uint32_t event_id) { return words({event_id, 0}); }

base::Buffer one_domain(std::uint32_t event_id, const base::Buffer& uuid,
                        std::string_view name = "web") {
  base::Buffer body = words({event_id, 1});
  policy::XdrWriter writer(body);
  writer.string(name);
  writer.fixed(uuid);
  writer.number(3);
  return body;
}

base::Buffer one_domain(std::uint32_t event_id, std::uint8_t uuid) {
  return one_domain(event_id, base::Buffer(16, uuid));
}

std::uint32_t id_of(const RawClient& client, std::uint32_t serial) {
  std::uint32_t id = 0;
  REQUIRE(client.ok(serial));
  REQUIRE(policy::XdrReader(client.reply(serial)->body).word(id));
  return id;
}

}  // namespace

TEST_CASE("an event is registered once and fanned out under each client's own id") {
  World world;
  RawClient& a = world.opened();
  RawClient& b = world.opened();
  RawClient& c = world.opened();
  const auto ra = a.call(kRegister, any_domain(0));
  const auto rb = b.call(kRegister, any_domain(0));
  world.settle();
  const std::uint32_t id_a = id_of(a, ra);
  const std::uint32_t id_b = id_of(b, rb);
  CHECK(id_a != id_b);
  CHECK(world.daemon().count(kRegister) == 1);

  world.daemon().send_event(kLifecycle, event(70));
  world.settle();
  REQUIRE(a.events.size() == 1);
  REQUIRE(b.events.size() == 1);
  CHECK(c.events.empty());
  CHECK(a.events[0].header.procedure == kLifecycle);
  CHECK(a.events[0].header.serial == 1);
  CHECK(a.events[0].body == event(id_a));
  CHECK(b.events[0].body == event(id_b));

  const auto gone = a.call(kDeregister, words({id_a}));
  world.settle();
  CHECK(a.ok(gone));
  CHECK(world.daemon().count(kDeregister) == 0);
  world.daemon().send_event(kLifecycle, event(70));
  world.settle();
  CHECK(a.events.size() == 1);
  CHECK(b.events.size() == 2);

  world.leave(b);
  CHECK(world.daemon().count(kDeregister) == 1);
  CHECK(world.daemon().asked.back().body == words({70}));

  const auto again = c.call(kRegister, any_domain(0));
  world.settle();
  CHECK(c.ok(again));
  CHECK(world.daemon().count(kRegister) == 2);
}

TEST_CASE("the older calls work, also beside the newer ones") {
  World world;
  RawClient& older = world.opened();
  RawClient& newer = world.opened();
  const auto first = older.call(Remote::CONNECT_DOMAIN_EVENT_REGISTER);
  const auto any = older.call(Remote::CONNECT_DOMAIN_EVENT_REGISTER_ANY, words({1}));
  const auto both = older.call(kRegister, any_domain(0));
  const auto other = newer.call(kRegister, any_domain(0));
  world.settle();
  CHECK(older.ok(first));
  CHECK(older.reply(first)->body.empty());
  CHECK(older.ok(any));
  CHECK(older.ok(both));
  CHECK(newer.ok(other));
  CHECK(world.daemon().count(kRegister) == 2);
  CHECK(world.daemon().count(policy::number(Remote::CONNECT_DOMAIN_EVENT_REGISTER)) == 0);
  CHECK(world.daemon().count(policy::number(Remote::CONNECT_DOMAIN_EVENT_REGISTER_ANY)) == 0);

  world.daemon().send_event(kLifecycle, event(70));
  world.settle();
  REQUIRE(older.events.size() == 2);
  CHECK(older.events[0].header.procedure == kOldLifecycle);
  CHECK(older.events[0].body == kRest);
  CHECK(older.events[1].header.procedure == kLifecycle);
  base::Buffer reboot = words({71});
  base::append(reboot, kDomain);
  world.daemon().send_event(policy::number(Remote::DOMAIN_EVENT_CALLBACK_REBOOT), reboot);
  world.settle();
  CHECK(older.events.back().header.procedure == policy::number(Remote::DOMAIN_EVENT_REBOOT));
  CHECK(newer.events.size() == 1);

  const auto twice = older.call(Remote::CONNECT_DOMAIN_EVENT_REGISTER);
  const auto out = older.call(Remote::CONNECT_DOMAIN_EVENT_DEREGISTER);
  const auto gone = older.call(Remote::CONNECT_DOMAIN_EVENT_DEREGISTER);
  world.settle();
  CHECK(older.error(twice).code == 1);
  CHECK(older.ok(out));
  CHECK(older.error(gone).code == 1);
}

TEST_CASE("different objects are different registrations; the same one twice is refused") {
  World world;
  RawClient& client = world.opened();
  const auto one = client.call(kRegister, one_domain(0, 1));
  const auto two = client.call(kRegister, one_domain(0, 2));
  const auto same = client.call(kRegister, one_domain(0, 2));
  const auto unknown = client.call(kRegister, any_domain(900));
  const auto foreign = client.call(kDeregister, words({12345}));
  world.settle();
  CHECK(client.ok(one));
  CHECK(client.ok(two));
  CHECK(client.error(same).code == 8);
  CHECK(client.error(unknown).code == 1);
  CHECK(client.error(foreign).code == 1);
  CHECK(world.daemon().count(kRegister) == 2);
  world.daemon().send_event(kLifecycle, event(71));
  world.settle();
  REQUIRE(client.events.size() == 1);
  CHECK(client.events[0].body == event(id_of(client, two)));
}

TEST_CASE("nobody can undo what another one registered") {
  World world;
  RawClient& owner = world.opened();
  RawClient& thief = world.opened();
  const auto registered = owner.call(kRegister, any_domain(0));
  world.settle();
  const auto stolen = thief.call(kDeregister, words({id_of(owner, registered)}));
  world.settle();
  CHECK(thief.error(stolen).code == 1);
  world.daemon().send_event(kLifecycle, event(70));
  world.settle();
  CHECK(owner.events.size() == 1);
}

TEST_CASE("registrations outlive their upstream") {
  World world;
  RawClient& client = world.opened();
  const auto registered = client.call(kRegister, any_domain(0));
  const auto network = client.call(Remote::CONNECT_NETWORK_EVENT_REGISTER_ANY, words({0, 0}));
  world.settle();
  const std::uint32_t id = id_of(client, registered);
  CHECK(client.ok(network));
  world.daemon().kill_all();
  world.pass(std::chrono::seconds(1));
  CHECK(world.daemon().count(kRegister) == 2);
  CHECK(world.daemon().count(313) == 2);
  world.daemon().send_event(kLifecycle, event(70));
  world.daemon().send_event(kLifecycle, event(72));
  world.daemon().send_event(kLifecycle, event(73));
  world.settle();
  REQUIRE(client.events.size() == 1);
  CHECK(client.events[0].body == event(id));
}

TEST_CASE("an event that overtakes the answer to its registration is delivered") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto registered = client.call(kRegister, any_domain(0));
  world.settle();
  world.daemon().send_event(kLifecycle, event(70));
  world.settle();
  CHECK(client.events.empty());
  world.daemon().answer_all();
  world.settle();
  REQUIRE(client.events.size() == 1);
  CHECK(client.events[0].body == event(id_of(client, registered)));
}

TEST_CASE("a registration that the daemon refuses is refused with its words") {
  World world;
  RawClient& client = world.opened();
  world.daemon().refuses[kRegister] = "no events on Sundays";
  const auto registered = client.call(kRegister, any_domain(0));
  world.settle();
  CHECK(client.error(registered).text.find("no events on Sundays") != std::string::npos);
  world.daemon().refuses.clear();
  const auto again = client.call(kRegister, any_domain(0));
  world.settle();
  CHECK(client.ok(again));
}

TEST_CASE("who leaves before the daemon has answered leaves nothing behind") {
  World world;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  client.call(kRegister, any_domain(0));
  world.settle();
  world.leave(client);
  world.daemon().answer_all();
  world.settle();
  REQUIRE(world.daemon().held.size() == 1);
  CHECK(world.daemon().held[0].header.procedure == kDeregister);
  RawClient& next = world.opened();
  const auto registered = next.call(kRegister, any_domain(0));
  world.settle();
  CHECK(next.reply(registered) == nullptr);
  world.daemon().answer_all();
  world.settle();
  world.daemon().answer_all();
  world.settle();
  CHECK(next.ok(registered));
  CHECK(world.daemon().count(kRegister) == 2);
}

TEST_CASE("who goes as soon as it is registered takes nobody else's events along") {
  World world;
  world.config.limits.calls_per_client = 2;
  world.gate();
  world.daemon().hold = true;
  RawClient& hasty = world.opened();
  RawClient& other = world.opened();
  const auto first = hasty.call(kRegister, any_domain(0));
  hasty.call(kRegister, any_domain(1));
  const auto gone = hasty.call(kDeregister, words({0}));
  world.settle();
  const auto stays = other.call(kRegister, any_domain(0));
  world.settle();
  CHECK(hasty.reply(gone) == nullptr);
  for (int i = 0; i < 3; ++i) {
    world.daemon().answer_all();
    world.settle();
  }
  CHECK(id_of(hasty, first) == 0);
  CHECK(hasty.ok(gone));
  CHECK(world.daemon().count(kDeregister) == 0);

  world.daemon().send_event(kLifecycle, event(70));
  world.settle();
  CHECK(hasty.events.empty());
  REQUIRE(other.events.size() == 1);
  CHECK(other.events[0].body == event(id_of(other, stays)));
}

TEST_CASE("who goes as soon as it is registered and comes again is registered anew") {
  World world;
  world.config.limits.calls_per_client = 1;
  world.gate();
  world.daemon().hold = true;
  RawClient& client = world.opened();
  client.call(kRegister, any_domain(0));
  client.call(kDeregister, words({0}));
  const auto again = client.call(kRegister, any_domain(0));
  for (int i = 0; i < 3; ++i) {
    world.settle();
    CHECK(client.reply(again) == nullptr);
    world.daemon().answer_all();
  }
  world.settle();
  const std::uint32_t id = id_of(client, again);
  CHECK(world.daemon().count(kRegister) == 2);
  CHECK(world.daemon().count(kDeregister) == 1);
  world.daemon().send_event(kLifecycle, event(71));
  world.settle();
  REQUIRE(client.events.size() == 1);
  CHECK(client.events[0].body == event(id));
}

TEST_CASE("registrations of one client are bounded") {
  World world;
  world.config.limits.registrations_per_client = 5;
  RawClient& client = world.opened();
  std::vector<std::uint32_t> serials;
  for (std::uint8_t i = 0; i < 8; ++i) serials.push_back(client.call(kRegister, one_domain(0, i)));
  world.settle();
  for (std::size_t i = 0; i < 8; ++i) CHECK(client.ok(serials[i]) == (i < 5));
  world.leave(client);
  CHECK(world.daemon().count(kDeregister) == 5);
}

TEST_CASE("whatever name a domain is registered under, daemons know it by its UUID") {
  World world;
  RawClient& liar = world.opened("hail", 1001);
  RawClient& other = world.opened("hail", 1002);
  const base::Buffer uuid(16, 7);
  const auto first = liar.call(kRegister, one_domain(0, uuid, "x"));
  const auto second = other.call(kRegister, one_domain(0, uuid, "web"));
  world.settle();
  CHECK(liar.ok(first));
  CHECK(other.ok(second));
  CHECK(world.daemon().count(kRegister) == 1);
}

TEST_CASE("one user's registrations leave those of a target to others") {
  World world;
  std::vector<std::uint32_t> serials;
  std::vector<RawClient*> greedy;
  for (std::uint8_t i = 0; i < 16; ++i) {
    greedy.push_back(&world.opened("hail", 1001));
    for (std::uint8_t n = 0; n < 100; ++n) {
      base::Buffer uuid(16, i);
      uuid[0] = n;
      serials.push_back(greedy.back()->call(kRegister, one_domain(0, uuid)));
      world.settle();
    }
  }
  std::size_t made = 0;
  for (std::size_t i = 0; i < serials.size(); ++i)
    made += greedy[i / 100]->ok(serials[i]) ? 1U : 0U;
  CHECK(made == proxy::Events::kMostOfUser);
  RawClient& other = world.opened("hail", 1002);
  const auto one = other.call(kRegister, one_domain(0, 200));
  const auto all = other.call(kRegister, any_domain(0));
  world.settle();
  CHECK(other.ok(one));
  CHECK(other.ok(all));
}

TEST_CASE("a client that does not read its events is ended, others get theirs") {
  World world;
  world.config.limits.client_buffer = 400;
  RawClient& deaf = world.opened();
  RawClient& client = world.opened();
  deaf.call(kRegister, any_domain(0));
  client.call(kRegister, any_domain(0));
  world.settle();
  deaf.stop_reading();
  for (int i = 0; i < 20; ++i) {
    world.daemon().send_event(kLifecycle, event(70));
    world.settle();
  }
  CHECK(client.events.size() == 20);
  CHECK(world.gate().clients() == 1);
  CHECK(world.log.count("does not read its events") == 1);
}

TEST_CASE("subscribers of a target that stays away are told and ended") {
  World world;
  RawClient& client = world.opened();
  RawClient& other = world.opened();
  client.call(Remote::CONNECT_REGISTER_CLOSE_CALLBACK);
  client.call(kRegister, any_domain(0));
  world.settle();
  world.daemon().down = true;
  world.daemon().kill_all();
  world.pass(std::chrono::seconds(13));
  REQUIRE(client.events.size() == 1);
  CHECK(client.events[0].header.procedure == 362);
  CHECK(client.events[0].body == words({0}));
  CHECK(client.closed());
  CHECK_FALSE(other.closed());
}
