// After a reload, calls follow the new targets, rules and limits, and the only clients that are
// ended have lost their target or their access.
#include "conf/target.h"
#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/world.h"

using Catch::Matchers::Contains;
using policy::Remote;
using test::RawClient;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);
constexpr std::int32_t kNodeInfo = policy::number(policy::Remote::NODE_GET_INFO);

policy::AccessRule rule(uid_t uid, std::vector<std::string> deny = {}) {
  policy::AccessRule out;
  out.users = {uid};
  out.targets = {"*"};
  out.allow = {"*"};
  out.deny = std::move(deny);
  out.place = "f line 3";
  return out;
}

void reload(World& world) { world.gate().reload(world.config, {}); }

}  // namespace

TEST_CASE("a configuration that says the same changes nothing") {
  World world;
  world.config.rules.rules = {rule(1000)};
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto call = client.call(kLibVersion);
  world.settle();
  world.config.targets[0].position.line += 7;
  reload(world);
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(call));
  CHECK(world.daemon().dials == 1);
  CHECK(world.daemon().connections() == 1);
}

TEST_CASE("of many new targets a few are made in each turn, and all for whoever looks") {
  World world;
  world.gate();
  constexpr std::size_t kMany = 1000;
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::string name = "new" + std::to_string(i);
    world.config.targets.push_back(world.config.targets[0]);
    world.config.targets.back().name = world.config.targets.back().tunnel.name = name;
    world.may_be_opened(name);
  }
  // As a configuration is held by whoever takes it.
  reload(world);
  CHECK(world.reached.size() <= 101);
  std::size_t before = world.reached.size();
  SECTION("in turns to come") {
    for (int turns = 0; turns < 20; ++turns) {
      world.clock.advance(world.clock.now());
      CHECK(world.reached.size() - before <= 100);
      before = world.reached.size();
    }
    CHECK(before == kMany + 1);
  }
  SECTION("described as they are configured, made or not") {
    const auto targets = world.gate().snapshot().targets;
    CHECK(targets.size() == kMany + 1);
    CHECK(std::ranges::all_of(targets, [](const auto& one) { return one.state == "idle"; }));
    CHECK(world.reached.size() == before);
  }
  SECTION("changed in the same way") {
    world.settle();
    REQUIRE(world.reached.size() == kMany + 1);
    for (conf::TargetConfig& target : world.config.targets) {
      target.tunnel.sockets = {"/run/other"};
      world.may_be_opened(target.name);
    }
    const auto changed = [&] {
      return std::ranges::count_if(world.reached, [](const auto& one) {
        return one.second.sockets == std::vector<std::string>{"/run/other"};
      });
    };
    reload(world);
    CHECK(changed() == 100);
    CHECK(world.gate().snapshot().targets.size() == kMany + 1);
    world.opened("new999");
    CHECK(world.daemon("new999").dials == 1);
    world.settle();
    CHECK(changed() == kMany + 1);
  }
  SECTION("ended in the same way") {
    world.settle();
    world.config.targets.resize(1);
    reload(world);
    CHECK(world.gate().snapshot().targets.size() == 1);
    world.settle();
    CHECK(world.gate().snapshot().targets.size() == 1);
  }
  SECTION("when a client opens one") {
    world.opened("new999");
    CHECK(world.daemon("new999").dials == 1);
  }
  SECTION("not after another reload") {
    world.config.targets.resize(1);
    reload(world);
    world.settle();
    CHECK(world.reached.size() == before);
    CHECK(world.gate().snapshot().targets.size() == 1);
  }
  SECTION("not when the gate ends") {
    world.end();
    CHECK(world.reached.size() <= before + 100);
  }
}

TEST_CASE("a target that has changed answers what it has, and what follows goes the new way") {
  World world;
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto old_call = client.call(kLibVersion);
  world.settle();
  test::ScriptedDaemon& before = world.daemon();
  world.may_be_opened("hail");
  world.config.targets[0].tunnel.sockets = {"/run/other"};
  reload(world);
  world.settle();
  REQUIRE(&world.daemon() != &before);
  const auto new_call = client.call(kNodeInfo);
  world.settle();
  CHECK(client.ok(new_call));
  CHECK(world.daemon().count(kNodeInfo) == 1);
  CHECK_FALSE(client.ok(old_call));
  before.answer_all();
  world.settle();
  CHECK(client.ok(old_call));
  CHECK(before.count(kNodeInfo) == 0);
  CHECK(before.connections() == 0);
}

TEST_CASE("connections that rely on files that have changed are renewed") {
  World world;
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto old_call = client.call(kLibVersion);
  world.settle();
  test::ScriptedDaemon& before = world.daemon();
  before.files_changed = true;
  world.may_be_opened("hail");
  reload(world);
  world.settle();
  CHECK(world.log.count("credentials-changed target=hail") == 1);
  const auto new_call = client.call(kNodeInfo);
  world.settle();
  CHECK(client.ok(new_call));
  CHECK(world.daemon().dials == 1);
  CHECK(before.connections() == 1);
  before.answer_all();
  world.settle();
  CHECK(client.ok(old_call));
  CHECK(before.connections() == 0);
  CHECK(before.dials == 1);
  CHECK(world.log.count("upstream-lost") == 0);
  reload(world);
  CHECK(world.log.count("credentials-changed") == 1);
  CHECK(world.daemon().connections() == 1);
}

TEST_CASE("files that are slow to be looked at hold up nothing, and are renewed in the end") {
  World world({"hail", "sleet"});
  RawClient& client = world.opened("hail");
  test::ScriptedDaemon& before = world.daemon("hail");
  before.disk_is_slow = true;
  reload(world);
  world.settle();
  REQUIRE(before.files_asked.size() == 1);
  const auto call = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(call));
  SECTION("they have changed") {
    world.may_be_opened("hail");
    before.files_asked[0](true);
    CHECK(world.log.count("credentials-changed target=hail") == 1);
  }
  SECTION("they have not") {
    before.files_asked[0](false);
    CHECK(world.log.count("credentials-changed") == 0);
  }
  SECTION("the target goes another way by then") {
    world.may_be_opened("hail");
    world.config.targets[0].tunnel.sockets = {"/run/other"};
    reload(world);
    before.files_asked[0](true);
    CHECK(world.log.count("credentials-changed") == 0);
  }
  world.settle();
}

TEST_CASE("a call that a changed target never answers ends in its time") {
  World world;
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto call = client.call(kLibVersion);
  world.settle();
  test::ScriptedDaemon& before = world.daemon();
  world.may_be_opened("hail");
  world.config.targets[0].tunnel.sockets = {"/run/other"};
  reload(world);
  world.pass(world.config.targets[0].call_timeout + std::chrono::seconds(5));
  CHECK(client.error(call).code == 68);
  CHECK(before.connections() == 0);
}

TEST_CASE("a target that is gone ends who uses it, and is found no more") {
  World world({"hail", "sleet"});
  RawClient& uses = world.opened("hail");
  RawClient& other = world.opened("sleet");
  world.config.targets.erase(world.config.targets.begin());
  reload(world);
  world.settle();
  CHECK(uses.closed());
  const auto call = other.call(kLibVersion);
  world.settle();
  CHECK(other.ok(call));
  RawClient& late = world.client();
  const auto open = late.open("hail");
  world.settle();
  CHECK_THAT(late.error(open).text, Contains("targets are sleet"));
  world.pass(std::chrono::seconds(30));
  CHECK(world.daemon("hail").connections() == 0);
}

TEST_CASE("rules hold from the next call, and who sees nothing any more is ended") {
  World world;
  world.config.rules.rules = {rule(1000), rule(1001)};
  RawClient& one = world.opened("hail", 1000);
  RawClient& two = world.opened("hail", 1001);
  world.config.rules.rules = {rule(1000, {"NODE_GET_INFO"})};
  reload(world);
  const auto info = one.call(kNodeInfo);
  const auto version = one.call(kLibVersion);
  world.settle();
  CHECK(one.error(info).code == 29);
  CHECK(one.ok(version));
  CHECK(two.closed());
  CHECK(world.log.count("revoked") == 1);
}

TEST_CASE("who gets events that are now denied is ended") {
  World world;
  world.config.rules.rules = {rule(1000)};
  RawClient& client = world.opened("hail", 1000);
  base::Buffer body = test::words({0, 0});
  const auto call = client.call(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, body);
  world.settle();
  REQUIRE(client.ok(call));
  world.config.rules.rules = {rule(1000, {"CONNECT_DOMAIN_EVENT_*"})};
  reload(world);
  world.settle();
  CHECK(client.closed());
}

TEST_CASE("who is opening opens by the new rules") {
  World world;
  world.config.rules.rules = {rule(1000), rule(1001)};
  world.gate();
  world.daemon().silent = true;
  RawClient& keeps = world.client(1000);
  RawClient& loses = world.client(1001);
  const auto kept = keeps.open("hail");
  const auto lost = loses.open("hail");
  world.settle();
  world.config.rules.rules = {rule(1000)};
  world.may_be_opened("hail");
  world.config.targets[0].tunnel.sockets = {"/run/other"};
  reload(world);
  world.pass(std::chrono::seconds(5));
  CHECK(keeps.ok(kept));
  CHECK(loses.error(lost).code == 5);
}

TEST_CASE("the limits of a rule hold for clients that are there") {
  World world;
  world.config.rules.rules = {rule(1000)};
  world.opened("hail", 1000);
  world.config.rules.rules[0].limits.clients = 1;
  reload(world);
  RawClient& second = world.client(1000);
  const auto open = second.open("hail");
  world.settle();
  CHECK_THAT(second.error(open).text, Contains("the maximum of"));
}

TEST_CASE("who is leaving, or was refused, keeps nothing of the rules of before") {
  World world;
  world.config.rules.rules = {rule(1000)};
  world.config.rules.rules[0].limits.clients = 2;
  RawClient& leaving = world.opened("hail", 1000);
  world.daemon().hold = true;
  leaving.call(kLibVersion);
  leaving.call(Remote::CONNECT_CLOSE);
  RawClient& refused = world.opened("hail", 1000);
  RawClient& greeting = world.client(1000);
  greeting.open("hail");
  world.settle();
  reload(world);
  reload(world);
  refused.call(Remote::DOMAIN_DESTROY);
  greeting.call(Remote::DOMAIN_DESTROY);
  world.settle();
  world.daemon().answer_all();
  world.pass(std::chrono::seconds(20));
  CHECK(leaving.closed());
  // Both places of the rule are free again.
  world.leave(refused);
  world.opened("hail", 1000);
  world.opened("hail", 1000);
}

TEST_CASE("limits hold for connections that are opened from now on, of unchanged targets too") {
  World world;
  world.daemon().reply = [](const policy::Header&, base::Bytes) {
    return test::text_reply(std::size_t{70} * 1024);
  };
  RawClient& client = world.opened();
  world.config.limits.max_message = 64 * 1024;
  reload(world);
  const auto by_the_old_one = client.call(policy::number(policy::Remote::CONNECT_GET_HOSTNAME));
  world.settle();
  CHECK(client.ok(by_the_old_one));
  world.daemon().kill_all();
  const auto by_the_new_one = client.call(policy::number(policy::Remote::CONNECT_GET_HOSTNAME));
  world.pass(world.config.targets[0].call_timeout + std::chrono::seconds(5));
  CHECK_FALSE(client.ok(by_the_new_one));
  CHECK(world.log.count("announced a message of") > 0);
}

TEST_CASE("who is opening what another rule let it see gets no further") {
  World world({"hail", "sleet"});
  world.config.rules.rules = {rule(1000)};
  world.gate();
  world.daemon("hail").silent = true;
  RawClient& client = world.client(1000);
  const auto open = client.open("");
  world.settle();
  SECTION("to the next target") {}
  SECTION("to targets that are gone") {
    world.config.targets.clear();
    world.may_be_opened("rain");
    world.config.targets.push_back(
        conf::make_target("rain", "test+unix:///rain?socket=/run/rain").value());
  }
  world.config.rules.rules = {rule(1001)};
  reload(world);
  world.settle();
  CHECK(client.error(open).code == 5);
  CHECK(world.daemon("sleet").dials == 0);
  const auto call = client.call(kLibVersion);
  world.settle();
  CHECK_THAT(client.error(call).text, Contains("not open"));
}

TEST_CASE("who is opening a target that is gone is told so") {
  World world({"hail", "sleet"});
  world.gate();
  world.daemon("hail").silent = true;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  world.config.targets.erase(world.config.targets.begin());
  reload(world);
  world.settle();
  CHECK_THAT(client.error(open).text, Contains("targets are sleet"));
  CHECK(world.daemon("sleet").dials == 0);
}

TEST_CASE("who uses a target whose name is now a xend's is ended") {
  World world({"hail", "sleet"});
  RawClient& uses = world.opened("hail");
  RawClient& other = world.opened("sleet");
  world.daemon("hail").hold = true;
  const auto asked = uses.call(kLibVersion);
  world.settle();
  world.config.targets[0] = conf::make_target("hail", "///run/xend").value();
  reload(world);
  world.settle();
  CHECK(world.log.count("revoked") == 1);
  world.daemon("hail").answer_all();
  world.settle();
  CHECK(uses.ok(asked));
  CHECK(uses.closed());
  CHECK_FALSE(other.closed());
}

TEST_CASE("a socket whose target is gone leads to no other") {
  World world({"hail", "sleet"});
  world.config.listen[0].target = "hail";
  world.gate();
  world.daemon("hail").silent = true;
  RawClient& opening = world.client();
  RawClient& waiting = world.client();
  const auto begun = opening.open("");
  world.settle();
  world.config.targets.erase(world.config.targets.begin());
  world.config.listen[0].target = "sleet";
  reload(world);
  const auto late = waiting.open("");
  const auto by_name = opening.open("sleet");
  world.settle();
  for (const auto& text : {opening.error(begun).text, waiting.error(late).text}) {
    CHECK_THAT(text, Contains("the target of this socket is not there"));
  }
  CHECK(opening.ok(by_name));
}
