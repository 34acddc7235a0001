// Where a target has a max_age, a question is answered with what another client was told a moment
// ago, and only then.
#include <chrono>

#include "policy/procedures.h"
#include "proxy/upstream/recent.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using proxy::Call;
using proxy::Recent;
using std::chrono::milliseconds;
using test::machine;
using test::RawClient;
using test::World;

namespace {

constexpr std::int32_t kInfo = policy::number(Remote::DOMAIN_GET_INFO);

struct User final : proxy::PoolUser {
  void on_target_ready() override {}
  void on_target_failed(const policy::Fault&) override {}
  void on_reply(const Call&, policy::Status, base::Bytes, const base::Keeper&) override {}
  void on_call_failed(const Call&, const policy::Fault&) override {}
  void on_event(std::int32_t, base::Bytes, base::Bytes) override {}
  void on_events_lost(const policy::Fault&) override {}
  bool can_take_reply() override { return true; }
};

Call call_about(std::uint8_t uuid, int sent) {
  Call call;
  call.procedure = kInfo;
  call.body = machine(uuid);
  call.subject = {policy::SubjectKind::machine, std::string(16, static_cast<char>(uuid)), ""};
  call.sent = milliseconds(sent);
  return call;
}

}  // namespace

TEST_CASE("an answer is had by others while it is young, and once by each", "[proxy][recent]") {
  World world;
  world.config.targets[0].max_age = milliseconds(1000);
  world.gate();
  RawClient& first = world.opened();
  RawClient& second = world.opened("hail", 1001);
  const auto asked = first.call(kInfo, machine(1));
  world.settle();
  CHECK(first.ok(asked));
  world.pass(milliseconds(500));
  const auto taken = second.call(kInfo, machine(1));
  const auto other = second.call(kInfo, machine(2));
  world.settle();
  REQUIRE(second.ok(taken));
  CHECK(second.reply(taken)->body == first.reply(asked)->body);
  CHECK(second.ok(other));
  CHECK(world.daemon().count(kInfo) == 2);
  CHECK(world.gate().snapshot().counters_of("hail")->joined == 1);
  // Both want to know what is new.
  const auto again = second.call(kInfo, machine(1));
  world.settle();
  CHECK(second.ok(again));
  CHECK(world.daemon().count(kInfo) == 3);
  const auto newer = first.call(kInfo, machine(1));
  world.settle();
  CHECK(first.ok(newer));
  CHECK(world.daemon().count(kInfo) == 3);
  world.pass(milliseconds(1001));
  RawClient& third = world.opened();
  const auto late = third.call(kInfo, machine(1));
  world.settle();
  CHECK(third.ok(late));
  CHECK(world.daemon().count(kInfo) == 4);
}

TEST_CASE("without a max_age every question is asked", "[proxy][recent]") {
  World world;
  world.gate();
  for (int i = 0; i < 3; ++i) {
    RawClient& client = world.opened();
    const auto serial = client.call(kInfo, machine(1));
    world.settle();
    CHECK(client.ok(serial));
  }
  CHECK(world.daemon().count(kInfo) == 3);
}

TEST_CASE("an answer is as old as its question", "[proxy][recent]") {
  World world;
  world.config.targets[0].max_age = milliseconds(1000);
  world.gate();
  world.daemon().hold = true;
  RawClient& first = world.opened();
  first.call(kInfo, machine(1));
  world.pass(milliseconds(900));
  world.daemon().answer_all();
  world.settle();
  RawClient& second = world.opened();
  const auto taken = second.call(kInfo, machine(1));
  world.settle();
  CHECK(second.ok(taken));
  world.pass(milliseconds(200));
  RawClient& third = world.opened();
  const auto late = third.call(kInfo, machine(1));
  world.settle();
  CHECK(third.reply(late) == nullptr);
  world.daemon().answer_all();
  world.settle();
  CHECK(third.ok(late));
}

TEST_CASE("errors are not had by others, nor is anything of another target", "[proxy][recent]") {
  World world;
  world.config.targets[0].max_age = milliseconds(60000);
  world.gate();
  world.daemon().refuses[kInfo] = "no";
  for (int i = 0; i < 2; ++i) {
    RawClient& client = world.opened();
    const auto serial = client.call(kInfo, machine(1));
    world.settle();
    CHECK(client.error(serial).text.ends_with("no"));
  }
  CHECK(world.daemon().count(kInfo) == 2);
  world.daemon().refuses.clear();
  RawClient& client = world.opened();
  client.call(kInfo, machine(1));
  world.settle();
  CHECK(world.daemon().count(kInfo) == 3);
  // A target that changes may lead elsewhere.
  conf::Config changed = world.config;
  changed.targets[0].upstreams = 2;
  world.gate().reload(changed, {});
  world.settle();
  RawClient& late = world.opened();
  const auto serial = late.call(kInfo, machine(1));
  world.settle();
  CHECK(late.ok(serial));
  CHECK(world.daemon().count(kInfo) == 4);
}

TEST_CASE("whoever has calls under way gets answers in their order", "[proxy][recent]") {
  World world;
  world.config.targets[0].max_age = milliseconds(60000);
  world.gate();
  RawClient& first = world.opened();
  first.call(kInfo, machine(1));
  world.settle();
  world.daemon().hold = true;
  RawClient& second = world.opened();
  const auto other = second.call(kInfo, machine(2));
  const auto same = second.call(kInfo, machine(1));
  world.settle();
  CHECK(second.reply(same) == nullptr);
  CHECK(world.daemon().held.size() == 2);
  world.daemon().answer_all();
  world.settle();
  CHECK(second.ok(other));
  CHECK(second.ok(same));
}

TEST_CASE("what is kept of answers is bounded", "[proxy][recent]") {
  User user;
  Recent recent;
  std::vector<std::unique_ptr<proxy::Lane>> lanes;
  for (std::size_t i = 0; i <= Recent::kMostLanes; ++i) {
    lanes.push_back(std::make_unique<proxy::Lane>(user, 1000));
    lanes.back()->number = i;
  }
  const base::Buffer large(Recent::kLongest, 1);
  for (int i = 0; i < 20; ++i) {
    recent.add(call_about(static_cast<std::uint8_t>(i), i), large);
    CHECK(recent.bytes() <= Recent::kMost);
  }
  // The oldest went first.
  CHECK(recent.take(call_about(0, 0), *lanes[0], milliseconds(0)) == nullptr);
  CHECK(recent.take(call_about(19, 0), *lanes[0], milliseconds(0)) != nullptr);
  const std::size_t before = recent.bytes();
  recent.add(call_about(100, 50), base::Buffer(Recent::kLongest + 1, 1));
  CHECK(recent.bytes() == before);
  Call long_one = call_about(101, 50);
  long_one.body.resize(proxy::kMostJoined + 1);
  recent.add(long_one, {});
  CHECK(recent.bytes() == before);
  // A newer answer takes the place of an older one, and not the other way round.
  recent.clear();
  CHECK(recent.bytes() == 0);
  const base::Buffer newer(8, 2);
  recent.add(call_about(1, 20), newer);
  recent.add(call_about(1, 10), large);
  const Recent::Answer* answer = recent.take(call_about(1, 0), *lanes[1], milliseconds(0));
  REQUIRE(answer != nullptr);
  CHECK(answer->body == newer);
  CHECK(recent.take(call_about(1, 0), *lanes[1], milliseconds(0)) == nullptr);
  CHECK(recent.take(call_about(1, 0), *lanes[2], milliseconds(21)) == nullptr);
  CHECK(recent.bytes() == 0);
  // One that very many have had is forgotten.
  recent.add(call_about(1, 20), newer);
  for (std::size_t i = 0; i < Recent::kMostLanes; ++i) {
    REQUIRE(recent.take(call_about(1, 0), *lanes[i], milliseconds(0)) != nullptr);
  }
  CHECK(recent.take(call_about(1, 0), *lanes.back(), milliseconds(0)) == nullptr);
  CHECK(recent.bytes() == 0);
}

TEST_CASE("what the daemon of before still answers is had by nobody else", "[proxy][recent]") {
  World world;
  world.config.targets[0].max_age = milliseconds(60000);
  world.gate();
  world.daemon().hold = true;
  RawClient& first = world.opened();
  RawClient& second = world.opened("hail", 1001);
  const auto asked = first.call(kInfo, machine(1));
  world.settle();
  conf::Config changed = world.config;
  changed.targets[0].upstreams = 2;
  world.gate().reload(changed, {});
  world.settle();
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.settle();
  CHECK(first.ok(asked));
  const auto later = second.call(kInfo, machine(1));
  world.settle();
  CHECK(second.ok(later));
  CHECK(world.daemon().count(kInfo) == 2);
}
