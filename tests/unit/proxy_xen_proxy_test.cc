// Clients of the old Xen proxy get answers of today's daemons under the gate's rules and limits,
// and a broken packet ends only its sender (CVE-2009-0036).
#include <string>
#include <vector>

#include "policy/procedures.h"
#include "proxy/client/xen_proxy_stream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xen_proxy_scene.h"

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::request_for;
using test::TextClient;
using test::XenReply;
using test::XenScene;

namespace {

constexpr std::int32_t kNodeInfo = policy::number(policy::Remote::NODE_GET_INFO);
constexpr std::int32_t kNumOfDomains = policy::number(policy::Remote::CONNECT_NUM_OF_DOMAINS);

policy::AccessRule rule(std::vector<std::string> allow) {
  policy::AccessRule out;
  out.users = {1000};
  out.targets = {"*"};
  out.allow = std::move(allow);
  out.place = "f line 3";
  return out;
}

std::string all_commands() {
  std::string bytes;
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    bytes += request_for(command, command);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a client of the Xen proxy is answered by today's daemon", "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& client = scene.asked(all_commands());
  const std::vector<XenReply> replies = XenScene::replies(client);
  REQUIRE(replies.size() == test::kLastXenCommand + 1U);
  for (std::uint16_t i = 0; i < replies.size(); ++i) {
    CHECK(replies[i].command == i);
    CHECK(replies[i].serial == i);
  }
  CHECK(replies[4].argument == 2);
  CHECK(replies[9].length == 56);
  CHECK(scene.world.daemon().opened_names() == std::vector<std::string>{"test:///hail"});
  CHECK(scene.world.log.count("open client=1 uid=1000 pid=4711 target=hail") == 1);
  client.hang_up();
  scene.world.settle();
  CHECK(scene.world.log.count("close client=1 uid=1000 pid=4711 target=hail calls=16") == 1);
}

TEST_CASE("the listener says how a client lays structures out", "[proxy][xen-proxy]") {
  XenScene scene(policy::XenAbi::i386);
  CHECK(XenScene::replies(scene.asked(request_for(9)))[0].length == 40);
}

TEST_CASE("packets may be cut anywhere on both sides", "[proxy][xen-proxy]") {
  std::string whole;
  for (const std::size_t cut : std::vector<std::size_t>{0, 1, 3, 16, 17}) {
    XenScene scene;
    scene.world.daemon().cut = cut;
    TextClient& client = scene.client(1000, cut);
    client.send(all_commands());
    scene.world.settle();
    if (whole.empty()) whole = client.got;
    CHECK(client.got == whole);
  }
}

TEST_CASE("clients of the Xen proxy share upstreams with all others", "[proxy][xen-proxy]") {
  XenScene scene;
  for (int i = 0; i < 20; ++i) {
    CHECK(XenScene::replies(scene.asked(request_for(4))).size() == 1);
  }
  CHECK(scene.world.daemon().connections() == 1);
}

TEST_CASE("CVE-2009-0036: packets that break the rules end their client, and no other",
          "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& good = scene.asked(request_for(4));
  const std::string header = request_for(12);
  for (const std::string& bytes :
       {std::string(16, '\xff'), std::string(16, '\0'),
        test::bytes_of_packet({1, 13, 1, {}, 0, {}}), test::bytes_of_packet({2, 1, 1, {}, 0, {}}),
        test::bytes_of_packet({1, 1, 1, 15, 0, {}}), test::bytes_of_packet({1, 1, 1, 0, 0, {}}),
        test::bytes_of_packet({1, 1, 1, 4097, 0, {}}), test::bytes_of_packet({1, 1, 1, {}, 0, "x"}),
        test::bytes_of_packet({1, 7, 1, {}, 0, "web"}),
        test::bytes_of_packet({1, 7, 1, {}, 0, std::string(1000, 'n') + '\0'})}) {
    TextClient& bad = scene.asked(bytes + request_for(4));
    CHECK(bad.got.empty());
    CHECK(bad.closed);
  }
  CHECK(scene.world.log.count("reason=\"it sent ") == 10);
  good.send(request_for(4));
  scene.world.settle();
  CHECK(XenScene::replies(good).size() == 2);
  CHECK(scene.world.daemon().count(kNumOfDomains) == 2);
}

TEST_CASE("CVE-2009-0036: a packet that is not whole in time ends its client",
          "[proxy][xen-proxy]") {
  for (const std::size_t size : {1U, 8U, 15U, 16U, 19U}) {
    XenScene scene;
    TextClient& client = scene.asked(request_for(0) + request_for(7).substr(0, size));
    CHECK(XenScene::replies(client).size() == 1);
    scene.world.pass(proxy::XenProxyStream::kPacketTimeout - milliseconds(1));
    CHECK_FALSE(client.closed);
    scene.world.pass(milliseconds(1));
    CHECK(client.closed);
    CHECK(XenScene::replies(client).size() == 1);
    CHECK(scene.world.log.count("its packet was not whole in time") == 1);
  }
}

TEST_CASE("a packet whose rest comes in time is answered", "[proxy][xen-proxy]") {
  XenScene scene;
  const std::string bytes = request_for(7) + request_for(4);
  TextClient& client = scene.client();
  for (const char c : bytes) {
    client.send(std::string(1, c));
    scene.world.pass(milliseconds(50));
  }
  scene.world.pass(seconds(10));
  CHECK_FALSE(client.closed);
  CHECK(XenScene::replies(client).size() == 2);
}

TEST_CASE("a client that ends within a packet gets nothing", "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& client = scene.client();
  client.send(request_for(4).substr(0, 15));
  client.end();
  scene.world.settle();
  CHECK(client.closed);
  CHECK(client.got.empty());
  CHECK(scene.world.daemon().count(1) == 0);
}

TEST_CASE("a silent client is ended, and one that has asked may be silent", "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& silent = scene.client();
  TextClient& idle = scene.asked(request_for(0));
  scene.world.pass(seconds(31));
  CHECK(silent.closed);
  scene.world.pass(seconds(3600));
  CHECK_FALSE(idle.closed);
  idle.send(request_for(4));
  scene.world.settle();
  CHECK(XenScene::replies(idle).size() == 2);
}

TEST_CASE("rules decide for clients of the Xen proxy too", "[proxy][xen-proxy]") {
  XenScene scene;
  scene.world.config.rules.rules = {rule({"CONNECT_*"})};
  const auto replies = XenScene::replies(scene.asked(all_commands()));
  REQUIRE(replies.size() == test::kLastXenCommand + 1U);
  CHECK(replies[1].number == 4017005);
  CHECK(replies[2].argument == -1);
  CHECK(replies[3].argument == 2);
  for (const std::size_t command : {5U, 6U, 7U, 9U, 10U, 11U}) {
    CHECK(replies[command].argument == -1);
  }
  CHECK(replies[8].number == 0);
  CHECK(replies[12].argument == 0);
  CHECK(scene.world.daemon().count(kNodeInfo) == 0);
  CHECK(scene.world.log.count("rule 1 (f line 3) does not let user 1000 call NODE_GET_INFO of "
                              "target 'hail'") == 1);
}

TEST_CASE("whom no rule lets in gets failures, and the log says why", "[proxy][xen-proxy]") {
  XenScene scene;
  scene.world.config.rules.rules = {rule({"*"})};
  const auto replies = XenScene::replies(scene.asked(request_for(0) + request_for(4), 1001));
  REQUIRE(replies.size() == 2);
  CHECK(replies[1].argument == -1);
  CHECK(scene.world.daemon().asked.empty());
  CHECK(scene.world.log.count("user 1001 may not see target 'hail'") == 2);
}

TEST_CASE("a rule bounds the clients and the calls of a second", "[proxy][xen-proxy]") {
  XenScene scene;
  scene.world.config.rules.rules = {rule({"*"})};
  scene.world.config.rules.rules[0].limits.clients = 1;
  scene.world.config.rules.rules[0].limits.calls_per_second = 10;
  std::string many;
  for (int i = 0; i < 50; ++i) many += request_for(4);
  TextClient& first = scene.asked(many);
  const std::size_t at_once = XenScene::replies(first).size();
  CHECK(at_once >= 10);
  CHECK(at_once <= 12);
  CHECK(XenScene::replies(scene.asked(request_for(4)))[0].argument == -1);
  scene.world.pass(seconds(10));
  CHECK(XenScene::replies(first).size() == 50);
  CHECK_FALSE(first.closed);
}

TEST_CASE("a newcomer who is one too many is answered with a failure and ended",
          "[proxy][xen-proxy]") {
  XenScene scene;
  scene.world.config.limits.clients_per_user = 1;
  TextClient& first = scene.asked(request_for(4));
  TextClient& second = scene.asked(request_for(4) + request_for(4));
  CHECK(XenScene::replies(first)[0].argument == 2);
  REQUIRE(XenScene::replies(second).size() == 2);
  for (const XenReply& reply : XenScene::replies(second)) CHECK(reply.argument == -1);
  scene.world.pass(seconds(5));
  CHECK(second.closed);
  CHECK_FALSE(first.closed);
}

TEST_CASE("while the target is away there are failures, and then answers", "[proxy][xen-proxy]") {
  XenScene scene;
  scene.world.gate();
  scene.world.daemon().down = true;
  TextClient& client = scene.asked(request_for(0) + request_for(4));
  scene.world.pass(seconds(25));
  REQUIRE(XenScene::replies(client).size() == 2);
  CHECK(XenScene::replies(client)[1].argument == -1);
  scene.world.daemon().down = false;
  scene.world.pass(seconds(5));
  client.send(request_for(4));
  scene.world.pass(seconds(5));
  REQUIRE(XenScene::replies(client).size() == 3);
  CHECK(XenScene::replies(client)[2].argument == 2);
}

TEST_CASE("a daemon that dies under a command delays it only", "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& client = scene.asked(request_for(0));
  scene.world.daemon().hold = true;
  client.send(request_for(9));
  scene.world.settle();
  scene.world.daemon().kill_all();
  scene.world.daemon().hold = false;
  scene.world.pass(seconds(5));
  REQUIRE(XenScene::replies(client).size() == 2);
  CHECK(XenScene::replies(client)[1].length == 56);
}

TEST_CASE("a daemon that never answers is a failure in time", "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& client = scene.asked(request_for(0));
  scene.world.daemon().silent = true;
  client.send(request_for(4));
  scene.world.pass(seconds(120));
  REQUIRE(XenScene::replies(client).size() == 2);
  CHECK(XenScene::replies(client)[1].argument == -1);
}

TEST_CASE("a stop of the gate answers what was asked", "[proxy][xen-proxy]") {
  XenScene scene;
  TextClient& busy = scene.asked(request_for(0));
  TextClient& idle = scene.asked(request_for(0));
  scene.world.daemon().hold = true;
  busy.send(request_for(9));
  scene.world.settle();
  bool done = false;
  scene.world.gate().drain([&] { done = true; });
  scene.world.drained();
  scene.world.pass(std::chrono::milliseconds(1500));
  CHECK(idle.closed);
  CHECK_FALSE(busy.closed);
  scene.world.daemon().hold = false;
  scene.world.daemon().answer_all();
  scene.world.pass(seconds(20));
  CHECK(done);
  REQUIRE(XenScene::replies(busy).size() == 2);
  CHECK(XenScene::replies(busy)[1].argument == 7);
  CHECK(busy.closed);
}

TEST_CASE("who sends without reading is read from no further, and ended", "[proxy][xen-proxy]") {
  XenScene scene;
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += request_for(0);
  TextClient& client = scene.asked(request_for(4));
  TextClient& other = scene.asked(request_for(4), 1001);
  client.stop_reading();
  for (int i = 0; i < 20; ++i) {
    client.send(flood);
    test::settle(scene.world.clock, 200000);
  }
  scene.world.pass(seconds(61));
  CHECK(scene.world.log.count("it does not read its answers") == 1);
  other.send(request_for(4));
  scene.world.settle();
  CHECK(XenScene::replies(other).size() == 2);
}
