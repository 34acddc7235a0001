// Calls, refusals and failures are counted by what became of them, and status shows them within the
// screen and without foreign control characters.
#include "policy/procedures.h"
#include "proxy/report/status_json.h"
#include "proxy/report/status_text.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

namespace {

using policy::Remote;
using proxy::Fate;
using proxy::Outcome;
using proxy::Refusal;
using proxy::Snapshot;
using proxy::TargetCounters;
using test::RawClient;
using test::World;
using tunnel::io::Reason;
using tunnel::io::Stage;

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kDestroy = policy::number(policy::Remote::DOMAIN_DESTROY);

TargetCounters counted(World& world, const std::string& name = "hail") {
  const Snapshot snapshot = world.gate().snapshot();
  const TargetCounters* found = snapshot.counters_of(name);
  REQUIRE(found != nullptr);
  return *found;
}

std::string text_of(const Snapshot& snapshot, const Snapshot* before = nullptr) {
  return in_lines(status_lines(snapshot, before, {{1000, "alice"}}), false);
}

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("calls are counted by what became of them", "[status]") {
  World world;
  RawClient& client = world.opened();
  for (int i = 0; i < 3; ++i) client.call(kLibVersion);
  client.call(kDestroy);
  client.call(9999);
  world.settle();
  const TargetCounters hail = counted(world);
  CHECK(hail.calls[Fate::passed] == 3);
  CHECK(hail.calls[Fate::answered] == 1);
  CHECK(hail.calls[Fate::refused] == 2);
  CHECK(hail.replies[Outcome::ok] == 3);
  CHECK(hail.replies.sum() == 3);
  CHECK(hail.durations.sum() == 3);
  CHECK(hail.dials == 1);
  CHECK(hail.opened == 1);
  CHECK(hail.traffic.in > 3 * 28);
  CHECK(hail.traffic.out > 3 * 28);
  CHECK(counted(world, "(none)").calls[Fate::answered] == 1);
  const Snapshot all = world.gate().snapshot();
  CHECK(all.refusals[Refusal::policy] == 2);
  CHECK(all.refusals.sum() == 2);
  CHECK(all.traffic.in == world.gate().snapshot().clients[0].bytes_in);
  CHECK(all.traffic.out == world.gate().snapshot().clients[0].bytes_out);
}

TEST_CASE("refusals are counted by their reason", "[status]") {
  World world;
  policy::AccessRule rule;
  rule.targets = {"hail"};
  rule.allow = {"*"};
  rule.deny = {"CONNECT_GET_HOSTNAME"};
  rule.limits.clients = 1;
  world.config.rules.rules = {rule};
  world.config.limits.clients = 3;
  RawClient& first = world.opened();
  first.call(Remote::CONNECT_GET_HOSTNAME);
  first.open("hail");
  RawClient& second = world.client();
  second.call(kLibVersion);
  second.open("nowhere");
  second.open("hail");
  world.client();
  RawClient& fourth = world.client();
  fourth.call(Remote::AUTH_LIST);
  world.settle();
  const Snapshot all = world.gate().snapshot();
  CHECK(all.refusals[Refusal::rule] == 1);
  CHECK(all.refusals[Refusal::order] == 2);
  CHECK(all.refusals[Refusal::name] == 1);
  CHECK(all.refusals[Refusal::limit] == 2);
  CHECK(all.turned_away == 1);
  CHECK(all.accepted == 4);
}

TEST_CASE("a target that is not there is counted by the stage that failed", "[status]") {
  World world;
  world.gate();
  world.daemon().down = true;
  world.client().open("hail");
  world.pass(std::chrono::seconds(20));
  const TargetCounters hail = counted(world);
  CHECK(hail.dials > 0);
  CHECK(hail.dial_failures[Stage::connect] == hail.dials);
  CHECK(hail.opened == 0);
  const Snapshot all = world.gate().snapshot();
  CHECK(all.refusals[Refusal::target] == 1);
  CHECK(all.targets[0].state == "failing");
  REQUIRE(all.targets[0].last_failure.size() == 1);
  CHECK(all.targets[0].last_failure[0].stage == "connect");
  CHECK(has(text_of(all), "ago, connect: "));
}

TEST_CASE("calls that get no answer and upstreams that are lost are counted", "[status]") {
  World world;
  world.config.targets[0].call_timeout = std::chrono::seconds(5);
  RawClient& client = world.opened();
  world.daemon().hold = true;
  client.call(kLibVersion);
  world.settle();
  CHECK(world.gate().snapshot().targets[0].in_flight == 1);
  CHECK(world.gate().snapshot().clients[0].outstanding == 1);
  world.pass(std::chrono::seconds(6));
  CHECK(counted(world).replies[Outcome::timeout] == 1);
  world.daemon().kill_all();
  world.settle();
  CHECK(counted(world).lost.sum() == 1);
  CHECK(counted(world).breaches == 0);
}

TEST_CASE("a daemon that breaks the rules is counted", "[status]") {
  World world;
  world.opened();
  policy::Header header;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  header.serial = 4711;
  world.daemon().send(0, test::frame(header, {}));
  world.settle();
  CHECK(counted(world).breaches == 1);
  CHECK(counted(world).lost[Reason::Kind::protocol] == 1);
}

TEST_CASE("a snapshot goes through JSON unchanged", "[status]") {
  World world({"hail", "sleet"});
  RawClient& client = world.opened();
  world.daemon("sleet").down = true;
  world.client(1001).open("sleet");
  client.call(kLibVersion);
  client.call(kDestroy);
  world.pass(std::chrono::seconds(3));
  Snapshot snapshot = world.gate().snapshot();
  snapshot.started = 1700000000;
  snapshot.pid = 7;
  snapshot.draining = true;
  const std::string json = to_json(snapshot);
  const auto back = proxy::parse_status(json);
  REQUIRE(back.ok());
  CHECK(to_json(back.value()) == json);
  CHECK(back->clients.size() == 2);
  CHECK(back->users.size() == 2);
  CHECK(back->counters.size() == 4);
  CHECK(has(json, "\"refusals\": {\n    \"policy\": 1,"));
}

TEST_CASE("JSON of any kind is read without harm", "[status]") {
  CHECK_FALSE(proxy::parse_status("").ok());
  CHECK_FALSE(proxy::parse_status("[1]").ok());
  CHECK_FALSE(proxy::parse_status("{\"version\": ").ok());
  CHECK_FALSE(proxy::parse_status(std::string(100000, '[')).ok());
  const auto odd = proxy::parse_status(
      R"({"version": 1, "pid": -1, "draining": "no", "bytes": [], "targets": {"a": 1},
          "users": [1, null, {"uid": "x", "clients": 1.5}], "clients": [{"target": {}}]})");
  REQUIRE(odd.ok());
  CHECK(odd->pid == 0);
  CHECK(odd->targets.empty());
  CHECK(odd->users.size() == 3);
  CHECK(odd->clients.size() == 1);
  CHECK_FALSE(text_of(odd.value()).empty());
}

TEST_CASE("there is a bound to the clients and users that are told", "[status]") {
  World world;
  world.config.limits.clients_per_user = 10000;
  for (uid_t i = 0; i < Snapshot::kMostClients + 20; ++i) world.client(1000 + i % 300);
  RawClient& busy = world.opened("hail", 9999);
  busy.call(kLibVersion);
  world.settle();
  const Snapshot all = world.gate().snapshot();
  CHECK(all.clients.size() == Snapshot::kMostClients);
  CHECK(all.clients[0].uid == 9999);
  CHECK(all.users.size() == Snapshot::kMostUsers);
  CHECK(has(text_of(all), "and 21 more clients"));
  CHECK(has(text_of(all), "and 101 more users"));
}

TEST_CASE("foreign text cannot reach the terminal", "[status]") {
  Snapshot snapshot;
  snapshot.version = "1\x1b[2J";
  snapshot.targets.resize(1);
  snapshot.targets[0].name = "a\nb\x1b";
  snapshot.targets[0].state = "\x9b";
  snapshot.targets[0].last_failure = {{"\x1b", "bad \x1b]0;x\x07 news", 1}};
  snapshot.clients.resize(1);
  snapshot.clients[0].target = "\r";
  const std::string text = text_of(snapshot);
  for (const char c : text) CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
  CHECK(has(text, "a\\x0ab\\x1b"));
}

TEST_CASE("rates come from two snapshots of one gate", "[status]") {
  World world;
  RawClient& client = world.opened();
  Snapshot before = world.gate().snapshot();
  CHECK(has(text_of(before), "alice"));
  CHECK_FALSE(has(text_of(before), "/s)"));
  for (int i = 0; i < 10; ++i) client.call(kLibVersion);
  world.pass(std::chrono::seconds(2));
  const Snapshot now = world.gate().snapshot();
  CHECK(has(text_of(now, &before), "10 passed (5.0/s)"));
  before.pid = 1;
  CHECK_FALSE(has(text_of(now, &before), "/s)"));
}

TEST_CASE("a screen is never written beyond its size", "[status]") {
  std::vector<proxy::StyledLine> lines(30, {std::string(200, 'x'), proxy::Style::bad});
  lines[1].text = "\xc3\xa4\xc3\xb6\xc3\xbc";
  const std::string all = on_screen(lines, 50, 300, false);
  CHECK(std::count(all.begin(), all.end(), '\n') == 30);
  CHECK(all.ends_with("\r\n\x1b[J"));
  const std::string cut = on_screen(lines, 10, 2, false);
  CHECK(std::count(cut.begin(), cut.end(), '\n') == 9);
  CHECK(has(cut, "\x1b[2K\xc3\xa4\xc3\xb6\r\n"));
  CHECK_FALSE(has(cut, "xxx"));
  CHECK(has(on_screen(lines, 10, 80, false), "\x1b[2K... and 21 more lines"));
  CHECK(has(on_screen(lines, 10, 80, true), "\x1b[31mx"));
  CHECK(on_screen(lines, 0, 0, true) == "\x1b[H");
}
