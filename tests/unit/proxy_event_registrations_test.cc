// What is registered is found and forgotten by what it says, however much of it there is and in
// whatever order it ends.
#include <array>
#include <memory>
#include <random>

#include "policy/procedures.h"
#include "policy/xdr.h"
#include "proxy/upstream/events.h"
#include "tests/unit/support/catch.h"

namespace test {
namespace {

using policy::Remote;
using proxy::Call;
using proxy::Calls;
using proxy::Lane;

constexpr std::int32_t kDeadline = 1000;

base::Buffer ints(std::initializer_list<std::int32_t> values) {
  base::Buffer out;
  policy::XdrWriter to(out);
  for (const std::int32_t value : values) to.number(value);
  return out;
}

// How often each of its calls has ended.
struct User final : proxy::PoolUser {
  void on_target_ready() override {}
  void on_target_failed(const policy::Fault&) override {}
  void on_reply(const Call& call, policy::Status status, base::Bytes body,
                const base::Keeper&) override {
    ++ends[call.serial];
    if (status == policy::Status::ok && body.size() == 4) {
      std::uint32_t id = 0;
      policy::XdrReader(body).word(id);
      ids.push_back(static_cast<std::int32_t>(id));
    }
  }
  void on_call_failed(const Call& call, const policy::Fault&) override { ++ends[call.serial]; }
  void on_event(std::int32_t, base::Bytes, base::Bytes) override { ++events; }
  void on_events_lost(const policy::Fault&) override { ids.clear(); }
  bool can_take_reply() override { return true; }

  std::map<std::uint32_t, int> ends;
  std::vector<std::int32_t> ids;  // of what it may undo
  std::size_t events = 0;
};

struct Scene final : proxy::EventsOwner {
  Scene() {
    for (std::size_t who = 0; who < lanes.size(); ++who) lanes[who]->number = who;
  }
  void on_events_pending() override {}

  std::uint32_t subscribe(std::size_t who, std::int32_t event, std::uint8_t object) {
    Call call;
    call.procedure = policy::number(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY);
    call.serial = ++serial;
    call.deadline = proxy::Milliseconds(now + kDeadline);
    asked[who].push_back(call.serial);
    const base::Buffer key(16, object);
    events.subscribe(*lanes[who], call, event, ints({1}), key);
    return serial;
  }
  void unsubscribe(std::size_t who, std::int32_t id) {
    Call call;
    call.procedure = policy::number(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY);
    call.serial = ++serial;
    asked[who].push_back(call.serial);
    events.unsubscribe(*lanes[who], call, id);
  }
  // The daemon answers what it has been asked longest.
  void answer(bool well) {
    if (sent.empty()) return;
    const Call call = sent.front();
    sent.pop_front();
    policy::Frame reply;
    reply.header.type = static_cast<std::uint32_t>(policy::Type::reply);
    reply.header.procedure = call.procedure;
    reply.header.status =
        static_cast<std::uint32_t>(well ? policy::Status::ok : policy::Status::error);
    const base::Buffer body = ints({next_id++});
    reply.body = body;
    CHECK(events.on_reply(call, reply));
  }
  void send() { sent.splice(sent.end(), events.next()); }
  // A client goes, and another one of that user comes.
  void leave(std::size_t who) {
    events.leave(*lanes[who]);
    CHECK(lanes[who]->events.empty());
    CHECK(lanes[who]->event_keys.empty());
    CHECK(lanes[who]->subscriptions == 0);
    asked[who].clear();
    users[who].ids.clear();
  }
  [[nodiscard]] bool some_wait() {
    bool some = false;
    for (std::size_t who = 0; who < lanes.size(); ++who) {
      for (const std::uint32_t one : asked[who]) {
        const int ends = users[who].ends[one];
        CHECK(ends <= 1);
        some = some || ends == 0;
      }
    }
    return some;
  }

  proxy::Events events{*this};
  std::array<User, 3> users;
  std::array<std::unique_ptr<Lane>, 3> lanes{std::make_unique<Lane>(users[0], 1000),
                                             std::make_unique<Lane>(users[1], 1000),
                                             std::make_unique<Lane>(users[2], 1001)};
  std::array<std::vector<std::uint32_t>, 3> asked;
  Calls sent;
  std::uint32_t serial = 0;
  std::int32_t next_id = 100;
  std::int32_t now = 0;
};

TEST_CASE("whatever ends a registration, who waits for one is known", "[proxy][events]") {
  const auto seed = GENERATE(range(1U, 21U));
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t most) { return random() % most; };
  Scene scene;
  for (int step = 0; step < 600; ++step) {
    const std::size_t who = below(3);
    switch (below(12)) {
      case 0:
        scene.leave(who);
        break;
      case 1:
        scene.sent.clear();
        scene.events.upstream_lost();
        break;
      case 2:
        if (below(8) == 0) {
          scene.sent.clear();
          scene.events.give_up({});
          for (User& user : scene.users) user.ids.clear();
        }
        break;
      case 3:
        scene.events.expire(proxy::Milliseconds(scene.now += 300), {});
        break;
      case 4:
      case 5:
        if (std::vector<std::int32_t>& ids = scene.users[who].ids; !ids.empty()) {
          scene.unsubscribe(who, ids.back());
          ids.pop_back();
        }
        break;
      case 6:
      case 7:
        scene.send();
        break;
      case 8:
        scene.answer(below(4) != 0);
        break;
      default:
        scene.subscribe(who, static_cast<std::int32_t>(below(3)),
                        static_cast<std::uint8_t>(below(4)));
    }
    REQUIRE(scene.events.waiting() == scene.some_wait());
  }
  for (std::size_t who = 0; who < 3; ++who) scene.leave(who);
  CHECK(!scene.events.waiting());
  for (int i = 0; i < 50; ++i) {
    scene.send();
    scene.answer(true);
  }
  CHECK(scene.events.empty());
}

TEST_CASE("among many registrations the one that is held already is found", "[proxy][events]") {
  Scene scene;
  for (int object = 0; object < 250; ++object) {
    scene.subscribe(0, 0, static_cast<std::uint8_t>(object));
  }
  CHECK(scene.events.registrations() == 250);
  CHECK(scene.lanes[0]->event_keys.size() == 250);
  for (int object = 0; object < 250; ++object) {
    const auto again = scene.subscribe(0, 0, static_cast<std::uint8_t>(object));
    CHECK(scene.users[0].ends[again] == 1);
  }
  CHECK(scene.lanes[0]->subscriptions == 250);
  // Of another client it is the same registration.
  scene.subscribe(1, 0, 7);
  CHECK(scene.events.registrations() == 250);
  for (int i = 0; i < 250; ++i) {
    scene.send();
    scene.answer(true);
  }
  CHECK(scene.users[0].ids.size() == 250);
  CHECK(scene.users[1].ids.size() == 1);
  scene.unsubscribe(0, scene.users[0].ids[7]);
  CHECK(scene.lanes[0]->event_keys.size() == 249);
  // What was undone may be had again, and what others have goes on.
  scene.subscribe(0, 0, 7);
  CHECK(scene.users[0].ids.size() == 251);
  scene.leave(0);
  scene.leave(1);
  for (int i = 0; i < 250; ++i) {
    scene.send();
    scene.answer(true);
  }
  CHECK(scene.events.empty());
}

TEST_CASE("an event that comes early is kept only while one of its kind is asked for",
          "[proxy][events]") {
  Scene scene;
  const auto lose = GENERATE(0, 1, 2);
  scene.subscribe(0, 0, 1);
  scene.send();
  if (lose == 0) scene.answer(false);
  if (lose == 1) scene.leave(0), scene.answer(true);
  if (lose == 2) scene.events.upstream_lost(), scene.leave(0);
  policy::Frame early;
  early.header.procedure = policy::number(Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE);
  const base::Buffer body = ints({500, 0, 0});
  early.body = body;
  CHECK(scene.events.on_event(early));
  scene.sent.clear();
  scene.subscribe(1, 0, 2);
  while (scene.sent.empty() ||
         scene.sent.front().procedure !=
             policy::number(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY)) {
    scene.sent.clear();
    scene.send();
    REQUIRE(!scene.sent.empty());
  }
  scene.next_id = 500;
  scene.answer(true);
  CHECK(scene.users[1].events == 0);
  // And one that comes while it is asked for is kept.
  scene.subscribe(2, 0, 3);
  while (scene.sent.empty()) scene.send();
  const base::Buffer other = ints({501, 0, 0});
  early.body = other;
  CHECK(scene.events.on_event(early));
  scene.next_id = 501;
  scene.answer(true);
  CHECK(scene.users[2].events == 1);
  for (std::size_t who = 0; who < 3; ++who) scene.leave(who);
}

}  // namespace
}  // namespace test
