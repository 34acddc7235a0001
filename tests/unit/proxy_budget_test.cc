// The unread and the asked bytes of a user are counted apart, and clients that wait for their
// user's budget are woken when half of it is free.
#include <memory>
#include <vector>

#include "proxy/visitor/budget.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/memory_stream.h"

using proxy::Budget;

namespace {

class Holder final : public proxy::BudgetHolder {
 public:
  Holder(Budget& budget, uid_t uid) : holding(budget, uid, *this) {}

  [[nodiscard]] std::uint64_t queued() const override { return bytes; }
  void on_may_answer() override { ++answers; }
  void on_may_ask() override { ++asks; }
  void write(std::uint64_t more) {
    bytes += more;
    holding.recount();
  }

  std::uint64_t bytes = 0;
  int answers = 0;
  int asks = 0;
  Budget::Holding holding;
};

struct Scene {
  Scene() {
    limits.user_buffer = 1000;
    limits.max_call = 500;
  }
  std::unique_ptr<Holder> holder(uid_t uid = 1) { return std::make_unique<Holder>(budget, uid); }
  void pass(int milliseconds) {
    clock.advance(clock.now() + std::chrono::milliseconds(milliseconds));
    test::settle(clock);
  }

  tunnel::io::Clock clock;
  conf::Limits limits;
  Budget budget{clock, limits};
};

}  // namespace

TEST_CASE("whatever makes a budget smaller wakes who waits for it") {
  Scene scene;
  auto unread = scene.holder();
  auto waits = scene.holder();
  auto other = scene.holder(2);
  unread->write(1001);
  CHECK(waits->holding.must_wait_to_answer());
  CHECK_FALSE(other->holding.must_wait_to_answer());
  scene.pass(50);
  CHECK(waits->answers == 0);

  SECTION("it goes") { unread.reset(); }
  SECTION("it has read, and nobody said so") { unread->bytes = 500; }
  SECTION("it has read, and its stream said so") {
    unread->bytes = 500;
    unread->holding.recount();
    test::settle(scene.clock);
    CHECK(waits->answers == 1);
  }
  scene.pass(20);
  CHECK(waits->answers == 1);
  scene.pass(1000);
  CHECK(waits->answers == 1);
  CHECK_FALSE(waits->holding.must_wait_to_answer());
}

TEST_CASE("who waits for a budget is woken when half of it is free, in turn") {
  Scene scene;
  auto unread = scene.holder();
  auto first = scene.holder();
  auto gone = scene.holder();
  unread->write(1200);
  CHECK(first->holding.must_wait_to_answer());
  CHECK(gone->holding.must_wait_to_answer());
  gone.reset();
  unread->bytes = 600;
  scene.pass(40);
  CHECK(first->answers == 0);
  unread->bytes = 500;
  scene.pass(20);
  CHECK(first->answers == 1);
}

TEST_CASE("what is asked is counted apart from what is unread") {
  Scene scene;
  auto asks = scene.holder();
  auto waits = scene.holder();
  asks->holding.set_asked(1001);
  CHECK(waits->holding.must_wait_to_ask());
  CHECK(asks->holding.must_wait_to_ask());
  CHECK_FALSE(waits->holding.must_wait_to_answer());
  scene.pass(1000);
  CHECK_FALSE(scene.clock.next());
  asks->holding.set_asked(501);
  scene.pass(0);
  CHECK(waits->asks == 0);
  asks->holding.set_asked(500);
  scene.pass(0);
  CHECK(waits->asks == 1);
  CHECK(asks->asks == 1);
  asks->holding.set_asked(1001);
  CHECK(waits->holding.must_wait_to_ask());
  asks.reset();
  scene.pass(0);
  CHECK(waits->asks == 2);
}

TEST_CASE("room for an event is looked for in what others have read") {
  Scene scene;
  auto reads = scene.holder();
  auto other = scene.holder();
  reads->write(900);
  CHECK(other->holding.has_room(100));
  CHECK_FALSE(other->holding.has_room(101));
  reads->bytes = 0;
  CHECK(other->holding.has_room(1000));
  CHECK_FALSE(other->holding.has_room(1001));
}

TEST_CASE("what is unread at one target leaves a part to those at another") {
  Scene scene;
  auto hoards = scene.holder();
  auto same = scene.holder();
  auto other = scene.holder();
  hoards->holding.enter("sick");
  same->holding.enter("sick");
  other->holding.enter("well");
  // Alone it may have all.
  hoards->write(1000);
  CHECK_FALSE(same->holding.must_wait_to_answer());
  hoards->write(1);
  CHECK(same->holding.must_wait_to_answer());
  CHECK_FALSE(same->holding.has_room(1));
  // Of two each has half, whatever the other takes.
  CHECK_FALSE(other->holding.must_wait_to_answer());
  CHECK(other->holding.has_room(500));
  CHECK_FALSE(other->holding.has_room(501));
  other->write(500);
  CHECK_FALSE(other->holding.must_wait_to_answer());
  other->write(1);
  CHECK(other->holding.must_wait_to_answer());
  CHECK(scene.budget.users()[0].buffered == 1502);
  other->bytes = 250;
  scene.pass(20);
  CHECK(other->answers == 1);
  CHECK(same->answers == 0);
  // With less of the one there is more for the other.
  hoards->bytes = 100;
  scene.pass(20);
  CHECK(same->answers == 1);
  CHECK(other->holding.has_room(650));
  CHECK_FALSE(other->holding.has_room(651));
}

TEST_CASE("what is asked of one target leaves a part to those who ask another") {
  Scene scene;
  scene.limits.user_buffer = 4000;
  auto asks = scene.holder();
  auto same = scene.holder();
  auto other = scene.holder();
  asks->holding.enter("sick");
  same->holding.enter("sick");
  other->holding.enter("well");
  asks->holding.set_asked(4001);
  CHECK(same->holding.must_wait_to_ask());
  CHECK_FALSE(other->holding.must_wait_to_ask());
  other->holding.set_asked(2001);
  CHECK(other->holding.must_wait_to_ask());
  other->holding.set_asked(0);
  scene.pass(0);
  CHECK(other->asks == 1);
  CHECK(same->asks == 0);
  // However many targets there are, a call of any length can come to its end.
  std::vector<std::unique_ptr<Holder>> many;
  for (int i = 0; i < 20; ++i) {
    many.push_back(scene.holder());
    many.back()->holding.enter("target" + std::to_string(i));
  }
  other->holding.set_asked(1000);
  CHECK_FALSE(other->holding.must_wait_to_ask());
}

TEST_CASE("what a client holds goes with it to another target") {
  Scene scene;
  auto one = scene.holder();
  auto waits = scene.holder();
  one->write(1001);
  one->holding.set_asked(1001);
  CHECK(waits->holding.must_wait_to_answer());
  CHECK(waits->holding.must_wait_to_ask());
  CHECK(one->holding.must_wait_to_ask());
  one->holding.enter("well");
  CHECK(one->holding.unread() == 1001);
  CHECK(scene.budget.users()[0].buffered == 1001);
  scene.pass(0);
  CHECK(one->answers + one->asks == 2);
  CHECK(waits->answers == 1);
  CHECK(waits->asks == 1);
  CHECK_FALSE(waits->holding.must_wait_to_answer());
  one->holding.enter("well");
  one.reset();
  CHECK(scene.budget.users()[0].buffered == 0);
}

TEST_CASE("a budget knows a user as long as that has clients") {
  Scene scene;
  auto first = scene.holder();
  auto second = scene.holder();
  first->write(10);
  second->write(5);
  CHECK(scene.budget.clients(1) == 2);
  REQUIRE(scene.budget.users().size() == 1);
  CHECK(scene.budget.users()[0].buffered == 15);
  first.reset();
  CHECK(scene.budget.users()[0].buffered == 5);
  second.reset();
  CHECK(scene.budget.clients(1) == 0);
  CHECK(scene.budget.users().empty());
}

namespace {

// Half of it, 1 MiB, is for answers, and a quarter for calls.
constexpr std::uint64_t kWhole = 2U << 20;
constexpr std::uint64_t kShared = kWhole / 2;

struct Crowd : Scene {
  Crowd() {
    limits.user_buffer = kWhole;
    limits.max_call = 1000;
    limits.buffer = kWhole;
  }
};

}  // namespace

TEST_CASE("while the whole is scarce, whoever holds more than their share waits") {
  Crowd scene;
  auto hoards = scene.holder(1);
  auto same = scene.holder(1);
  auto little = scene.holder(2);
  hoards->holding.enter("hail");
  same->holding.enter("sleet");
  hoards->write(kShared);
  CHECK_FALSE(same->holding.must_wait_to_answer());
  hoards->write(1);
  // At another target too, and events find no room.
  CHECK(same->holding.must_wait_to_answer());
  CHECK_FALSE(same->holding.has_room(1));
  CHECK(scene.budget.buffer().users_over_share == 1);
  // Of two, each may hold half.
  little->write(kShared / 2 - 100);
  CHECK_FALSE(little->holding.must_wait_to_answer());
  CHECK(little->holding.has_room(100));
  little->write(101);
  CHECK(little->holding.must_wait_to_answer());
  CHECK(scene.budget.buffer().users_over_share == 2);
  CHECK(scene.budget.buffer().held == kShared * 3 / 2 + 2);
  CHECK(scene.budget.buffer().bound == kWhole);

  SECTION("whoever has read half of their share goes on") {
    little->bytes = kShared / 4;
    scene.pass(20);
    CHECK(little->answers == 1);
    CHECK(same->answers == 0);
  }
  SECTION("all go on when there is enough again, also those who have read nothing") {
    hoards->bytes = 0;
    hoards->holding.recount();
    scene.pass(20);
    CHECK(little->answers == 1);
    CHECK(same->answers == 1);
  }
  SECTION("all go on when who held most has gone") {
    hoards.reset();
    scene.pass(20);
    CHECK(little->answers == 1);
    CHECK(same->answers == 1);
  }
}

TEST_CASE("nobody is served from the last quarter but who holds next to nothing") {
  Crowd scene;
  std::vector<std::unique_ptr<Holder>> users;
  // Whoever comes later has a smaller share, and those of before keep what they have.
  for (uid_t uid = 1; uid < 200; ++uid) {
    users.push_back(scene.holder(uid));
    while (!users.back()->holding.must_wait_to_answer()) users.back()->write(4096);
  }
  CHECK(scene.budget.buffer().held > kWhole * 3 / 4);
  CHECK(scene.budget.buffer().held < kWhole * 3 / 4 + 200 * (kWhole / 64 + 4096));
  auto last = scene.holder(200);
  CHECK_FALSE(last->holding.must_wait_to_answer());
  for (const auto& user : users) user->bytes = 0;
  scene.pass(20);
  for (const auto& user : users) CHECK(user->answers == 1);
}

TEST_CASE("what is expected counts as what is there, but for events") {
  Crowd scene;
  scene.limits.user_buffer = 1000;
  auto asks = scene.holder();
  auto waits = scene.holder();
  asks->holding.expect(1001);
  CHECK(waits->holding.must_wait_to_answer());
  CHECK(waits->holding.has_room(1000));
  CHECK(scene.budget.buffer().held == 1001);
  CHECK(scene.budget.buffer().expected == 1001);
  CHECK(scene.budget.users()[0].buffered == 0);
  // It comes.
  asks->holding.expect(0);
  asks->write(900);
  scene.pass(20);
  CHECK(waits->answers == 0);
  asks->holding.expect(200);
  asks->bytes = 0;
  scene.pass(20);
  CHECK(waits->answers == 1);
  CHECK(waits->holding.must_wait_to_answer() == false);
  asks->holding.expect(2000);
  CHECK(waits->holding.must_wait_to_answer());
  SECTION("who expects it goes") { asks.reset(); }
  SECTION("who expects it goes to another target") {
    asks->holding.enter("hail");
    CHECK(scene.budget.buffer().expected == 2000);
  }
  scene.pass(20);
  CHECK(waits->answers == 2);
}

TEST_CASE("while calls of all are scarce, whoever asks more than their share waits") {
  Crowd scene;
  auto asks = scene.holder(1);
  auto waits = scene.holder(2);
  auto little = scene.holder(3);
  asks->holding.set_asked(kWhole / 4);
  CHECK_FALSE(asks->holding.must_wait_to_ask());
  little->holding.set_asked(2000);
  waits->holding.set_asked(kWhole / 8 + 1);
  CHECK(asks->holding.must_wait_to_ask());
  CHECK(waits->holding.must_wait_to_ask());
  // One call of any length comes to its end.
  CHECK_FALSE(little->holding.must_wait_to_ask());
  CHECK(scene.budget.buffer().calls == kWhole * 3 / 8 + 2001);
  CHECK(scene.budget.buffer().users_over_share == 2);
  // Neither is woken by what it does itself.
  asks->holding.set_asked(0);
  scene.pass(20);
  CHECK(asks->asks == 1);
  CHECK(waits->asks == 1);
}

TEST_CASE("those who hold most are told first") {
  Crowd scene;
  std::vector<std::unique_ptr<Holder>> users;
  for (const std::uint64_t bytes : {50U, 70U, 10U, 60U, 20U, 80U, 30U}) {
    users.push_back(scene.holder(static_cast<uid_t>(bytes)));
    users.back()->write(bytes);
  }
  users[0]->holding.set_asked(45);
  const proxy::MemoryUse use = scene.budget.memory_use();
  CHECK(use.users == 7);
  CHECK(use.held == 365);
  CHECK(use.bound == kWhole);
  std::vector<std::uint64_t> largest;
  for (const proxy::UserSnapshot& user : use.largest) largest.push_back(user.held);
  CHECK(largest == std::vector<std::uint64_t>{95, 80, 70, 60, 30});
  CHECK(use.largest[0].uid == 50);
}
