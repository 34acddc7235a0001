// A host beyond the targets is reached only when open_uris and the rules allow it, and such hosts
// are bounded and forgotten when nobody uses them.
#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using Catch::Matchers::Contains;
using policy::Remote;
using test::RawClient;
using test::World;

namespace {

std::string host(int number) { return "qemu+tls://h" + std::to_string(number) + "/system"; }

struct OpenWorld : World {
  explicit OpenWorld(int hosts) {
    config.rules.open_uris = {{{"*", "*", "h*", "*", "/*"}, false}};
    for (int i = 0; i < hosts; ++i) may_be_opened(host(i));
    config.limits.open_timeout = std::chrono::hours(1);
  }

  std::string refusal(const std::string& name, uid_t uid = 1000) {
    RawClient& one = client(uid);
    const auto open = one.open(name);
    settle();
    REQUIRE_FALSE(one.ok(open));
    const std::string text = one.error(open).text;
    leave(one);
    return text;
  }
};

}  // namespace

TEST_CASE("a host that open_uris let pass is reached, and shared") {
  OpenWorld world(1);
  world.opened("qemu://H0/system", 1000);
  world.opened("qemu+tls://h0:16514/system", 1001);
  CHECK(world.daemon(host(0)).count(1) == 1);
  CHECK(world.log.count("target=" + host(0)) >= 2);
  world.opened("hail");
}

TEST_CASE("what open_uris do not let pass is refused by name") {
  OpenWorld world(0);
  CHECK_THAT(
      world.refusal("qemu+tls://other/system"),
      Contains("qemu+tls://other/system") && Contains("no pattern of open_uris lets it pass"));
  CHECK_THAT(world.refusal("qemu+tls://h1/system?no_verify=1"), Contains("\"no_verify\""));
  CHECK_THAT(world.refusal("qemu+tcp://h1/system"), Contains("insecure"));
  CHECK_THAT(world.refusal("qemu+ext://h1/system?command=/bin/sh"), Contains("command"));
  CHECK(world.gate().opened_targets() == 0);
}

TEST_CASE("rules decide about open URIs as about targets") {
  OpenWorld world(2);
  policy::AccessRule rule;
  rule.users = {1000};
  rule.uris = {{"qemu+tls", "", "h0", "", "/system"}};
  rule.allow = {"CONNECT_*"};
  rule.place = "f line 3";
  world.config.rules.rules = {rule};
  RawClient& client = world.opened(host(0), 1000);
  const auto info = client.call(Remote::NODE_GET_INFO);
  world.settle();
  CHECK_THAT(client.error(info).text, Contains("of target '" + host(0) + "'"));
  CHECK_THAT(world.refusal(host(1), 1000), Contains("may not see target '" + host(1) + "'"));
  CHECK_THAT(world.refusal(host(0), 1001), Contains("user 1001 may not see"));
}

TEST_CASE("hosts that clients have named are bounded, in all and for each user") {
  OpenWorld world(6);
  world.config.limits.open_targets = 3;
  world.config.limits.open_targets_per_user = 2;
  RawClient& first = world.opened(host(0), 1000);
  world.opened(host(1), 1000);
  CHECK_THAT(world.refusal(host(2), 1000),
             Contains("too many hosts") && Contains("limits.open_targets_per_user = 2"));
  world.opened(host(2), 1001);
  CHECK_THAT(world.refusal(host(3), 1002), Contains("too many hosts"));
  CHECK(world.gate().opened_targets() == 3);
  // One that is not used makes room.
  world.leave(first);
  world.opened(host(3), 1002);
  CHECK(world.gate().opened_targets() == 3);
  CHECK_THAT(world.refusal(host(4), 1000), Contains("too many hosts"));
}

TEST_CASE("a host takes the place of somebody who uses it") {
  OpenWorld world(6);
  world.config.limits.open_targets_per_user = 2;
  std::vector<RawClient*> first;
  for (int i = 0; i < 2; ++i) {
    first.push_back(&world.opened(host(i), 1000));
    world.opened(host(i), 1001);
    world.opened(host(i), 1002);
  }
  CHECK_THAT(world.refusal(host(2), 1000), Contains("limits.open_targets_per_user = 2"));
  for (RawClient* client : first) world.leave(*client);
  world.opened(host(2), 1000);
  world.opened(host(3), 1000);
  CHECK_THAT(world.refusal(host(4), 1000), Contains("limits.open_targets_per_user = 2"));
  // Those who still use them have one each now, and may have one more.
  world.opened(host(4), 1001);
  CHECK_THAT(world.refusal(host(5), 1001), Contains("limits.open_targets_per_user = 2"));
  world.opened(host(5), 1002);
}

TEST_CASE("hosts that clients have named are forgotten when nobody uses them") {
  OpenWorld world(2);
  RawClient& client = world.opened(host(0), 1000);
  world.opened(host(1), 1000);
  world.leave(client);
  world.pass(proxy::Pools::kForgotten / 2);
  CHECK(world.gate().opened_targets() == 2);
  world.pass(proxy::Pools::kForgotten);
  CHECK(world.gate().opened_targets() == 1);
}

TEST_CASE("a reload takes away what open_uris do not let pass any more") {
  OpenWorld world(2);
  RawClient& uses = world.opened(host(0), 1000);
  RawClient& keeps = world.opened(host(1), 1000);
  world.config.rules.open_uris[0].pattern.host = "h1";
  world.gate().reload(world.config, {});
  world.settle();
  CHECK(uses.closed());
  CHECK_FALSE(keeps.closed());
  CHECK(world.gate().opened_targets() == 1);
  CHECK_THAT(world.refusal(host(0)), Contains("no pattern of open_uris lets it pass"));
  world.pass(std::chrono::seconds(30));
  CHECK(world.daemon(host(0)).connections() == 0);
}

TEST_CASE("a host that clients have named is reached as open_uris say now") {
  OpenWorld world(1);
  world.config.rules.open_uris[0].local_addresses = true;
  RawClient& stays = world.opened(host(0), 1000);
  REQUIRE(world.reached.at(host(0)).local_addresses);
  world.leave(world.opened(host(0), 1001));
  world.config.rules.open_uris[0].local_addresses = false;
  world.gate().reload(world.config, {});
  world.settle();
  CHECK_FALSE(world.reached.at(host(0)).local_addresses);
  const auto call = stays.call(Remote::CONNECT_GET_LIB_VERSION);
  world.settle();
  CHECK(stays.ok(call));
  CHECK(world.daemon(host(0)).dials == 2);
  CHECK(world.gate().opened_targets() == 1);
}
