// Statistics of all machines do not wait for one whose lock is held, where the target says so and
// the daemon knows how.
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using test::RawClient;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kStatistics = policy::number(Remote::CONNECT_GET_ALL_DOMAIN_STATS);
constexpr std::uint32_t kNoWait = 1U << 29U;
constexpr std::uint32_t kRunning = 1U << 2U;

base::Buffer all(std::uint32_t flags) { return words({0, 1, flags}); }

std::uint32_t flags_of(const test::ScriptedDaemon::Asked& asked) {
  return policy::load_word(asked.body.data() + asked.body.size() - 4);
}

std::vector<std::uint32_t> flags_at(World& world) {
  std::vector<std::uint32_t> out;
  for (const auto& one : world.daemon().asked) {
    if (one.header.procedure == kStatistics) out.push_back(flags_of(one));
  }
  return out;
}

// A daemon that does not know the flag.
void be_old(World& world) {
  world.daemon().fails = [](const policy::Header& header,
                            base::Bytes body) -> std::optional<policy::Fault> {
    if (header.procedure != kStatistics) return std::nullopt;
    if ((policy::load_word(body.data() + body.size() - 4) & kNoWait) == 0) return std::nullopt;
    return policy::Fault{policy::ErrorCode::invalid_argument, policy::ErrorDomain::none,
                         "unsupported flags (0x20000000) in function testConnectGetAllDomainStats"};
  };
}

void wish_for_it(World& world) { world.config.targets[0].stats_nowait = true; }

}  // namespace

TEST_CASE("statistics are asked for without waiting where the target says so", "[proxy][nowait]") {
  const bool wished = GENERATE(true, false);
  World world;
  if (wished) wish_for_it(world);
  world.gate();
  RawClient& client = world.opened();
  const auto plain = client.call(kStatistics, all(0));
  const auto more = client.call(kStatistics, all(kRunning));
  const auto own = client.call(kStatistics, all(kNoWait | kRunning));
  const auto other = client.call(Remote::CONNECT_LIST_ALL_DOMAINS, words({1, 0}));
  world.settle();
  for (const auto one : {plain, more, own, other}) CHECK(client.ok(one));
  const std::uint32_t bit = wished ? kNoWait : 0;
  const std::vector<std::uint32_t> sent = flags_at(world);
  CHECK(sent == std::vector<std::uint32_t>{bit, kRunning | bit, kRunning | kNoWait});
  for (const auto& one : world.daemon().asked) {
    if (one.header.procedure == policy::number(Remote::CONNECT_LIST_ALL_DOMAINS)) {
      CHECK(one.body == words({1, 0}));
    }
  }
}

TEST_CASE("a daemon that does not know the flag is asked again without it, once",
          "[proxy][nowait]") {
  World world;
  wish_for_it(world);
  world.gate();
  be_old(world);
  RawClient& client = world.opened();
  RawClient& other = world.opened("hail", 1001);
  const auto first = client.call(kStatistics, all(0));
  const auto joined = other.call(kStatistics, all(0));
  world.settle();
  CHECK(client.ok(first));
  CHECK(other.ok(joined));
  CHECK(client.replies_to(first) == 1);
  CHECK(other.replies_to(joined) == 1);
  const std::vector<std::uint32_t> sent = flags_at(world);
  // The one that waited had the flag already.
  CHECK(std::ranges::count(sent, kNoWait) == 2);
  CHECK(std::ranges::count(sent, 0U) >= 1);
  world.daemon().asked.clear();
  const auto later = client.call(kStatistics, all(kRunning));
  world.settle();
  CHECK(client.ok(later));
  CHECK(flags_at(world) == std::vector<std::uint32_t>{kRunning});
  // Whoever asks for it themselves is told what the daemon says.
  const auto own = client.call(kStatistics, all(kNoWait));
  world.settle();
  CHECK(client.error(own).text.ends_with("testConnectGetAllDomainStats"));
}

TEST_CASE("what a daemon of before a reload does not know the next one may", "[proxy][nowait]") {
  World world;
  wish_for_it(world);
  world.gate();
  RawClient& client = world.opened();
  test::ScriptedDaemon& before = world.daemon();
  be_old(world);
  before.hold = true;
  const auto late = client.call(kStatistics, all(0));
  world.settle();
  world.may_be_opened("hail");
  world.config.targets[0].tunnel.sockets = {"/run/other"};
  world.gate().reload(world.config, {});
  world.settle();
  before.answer_all();
  world.settle();
  CHECK(client.ok(late));
  CHECK(flags_at(world) == std::vector<std::uint32_t>{0});
  const auto next = client.call(kStatistics, all(0));
  world.settle();
  CHECK(client.ok(next));
  CHECK(flags_at(world) == std::vector<std::uint32_t>{0, kNoWait});
}

TEST_CASE("of clients with the same question only those who asked for the flag are told of it",
          "[proxy][nowait]") {
  World world;
  wish_for_it(world);
  world.gate();
  be_old(world);
  world.daemon().hold = true;
  RawClient& first = world.opened();
  RawClient& own = world.opened("hail", 1001);
  RawClient& third = world.opened("hail", 1002);
  first.call(kStatistics, all(kRunning));
  first.call(kStatistics, all(kRunning));
  world.settle();
  // These wait for each other.
  const auto plain = third.call(kStatistics, all(0));
  const auto wishes = own.call(kStatistics, all(kNoWait));
  world.settle();
  for (int i = 0; i < 8; ++i) {
    world.daemon().answer_all();
    world.settle();
  }
  CHECK(third.ok(plain));
  CHECK(own.error(wishes).text.ends_with("testConnectGetAllDomainStats"));
  CHECK(third.replies_to(plain) == 1);
  CHECK(own.replies_to(wishes) == 1);
}

TEST_CASE("a call that is asked again without the flag may go, or lose its upstream",
          "[proxy][nowait]") {
  const bool leaves = GENERATE(true, false);
  World world;
  wish_for_it(world);
  world.gate();
  be_old(world);
  world.daemon().hold = true;
  RawClient& client = world.opened();
  const auto serial = client.call(kStatistics, all(0));
  world.settle();
  REQUIRE(world.daemon().held.size() == 1);
  if (leaves) world.leave(client);
  world.daemon().answer_all();
  world.settle();
  CHECK(world.daemon().held.size() == (leaves ? 0 : 1));
  if (leaves) return;
  CHECK(flags_of(world.daemon().held[0]) == 0);
  world.daemon().kill_all();
  world.daemon().held.clear();
  world.pass(std::chrono::seconds(1));
  // Nothing is known of the daemon that is there now.
  REQUIRE(world.daemon().held.size() == 1);
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(serial));
}
