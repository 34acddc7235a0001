// After a reload, a client that has not asked its xend yet asks by the new rules and settings, or
// is told that the xend is gone.
#include "conf/target.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xend_scene.h"

using std::chrono::seconds;
using test::kAskNode;
using test::TextClient;
using test::XendWorld;

namespace {

policy::AccessRule rule(uid_t uid) {
  policy::AccessRule out;
  out.users = {uid};
  out.targets = {"*"};
  out.allow = {"*"};
  out.place = "f line 2";
  return out;
}

void reload(XendWorld& world) { world.gate().reload(world.config, {}); }

}  // namespace

TEST_CASE("who has not asked a xend yet asks by the new rules", "[proxy][xend]") {
  XendWorld world;
  world.config.rules.rules = {rule(1000), rule(1001)};
  world.gate();
  world.xend().silent = true;
  TextClient& keeps = world.client(0, 1000);
  TextClient& loses = world.client(0, 1001);
  TextClient& half = world.client(0, 1001);
  TextClient& asked = world.client(0, 1001);
  half.send(kAskNode.substr(0, 10));
  asked.send(kAskNode);
  world.settle();
  world.config.rules.rules = {rule(1000)};
  reload(world);
  keeps.send(kAskNode);
  loses.send(kAskNode);
  half.send(kAskNode.substr(10));
  world.settle();
  world.xend().answer_all();
  world.settle();
  CHECK(keeps.status() == 200);
  CHECK(asked.status() == 200);
  for (const TextClient* client : {&loses, &half}) {
    CHECK(client->status() == 403);
    CHECK(client->body().find("user 1001 may not see target 'rain'") != std::string::npos);
  }
  CHECK(world.xend().got.size() == 2);
}

TEST_CASE("who has not asked a xend that is gone is told so", "[proxy][xend]") {
  XendWorld world({"rain", "snow"});
  world.gate();
  TextClient& client = world.client();
  world.settle();
  SECTION("it is no target any more") { world.config.targets.erase(world.config.targets.begin()); }
  SECTION("its name is another's") {
    world.config.targets[0] = conf::make_target("rain", "test+unix:///r?socket=/run/r").value();
  }
  world.config.listen.erase(world.config.listen.begin());
  reload(world);
  client.send(kAskNode);
  world.settle();
  CHECK(client.status() == 403);
  CHECK(client.body() == "virtgate: there is no xend \"rain\" any more\n");
  CHECK(client.closed);
  CHECK(world.xend().got.empty());
}

TEST_CASE("who has not asked a xend that has changed asks the new one", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  TextClient& asked = world.asked(kAskNode);
  TextClient& client = world.client();
  world.settle();
  world.config.targets[0].call_timeout = seconds(1);
  reload(world);
  client.send(kAskNode);
  world.pass(seconds(2));
  CHECK(client.status() == 504);
  CHECK(asked.status() == 0);
  world.xend().answer_all();
  world.settle();
  CHECK(asked.status() == 200);
}
