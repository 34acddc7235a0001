// A bridge filters as a gate does, answers what was asked before its input ended, and ends with its
// client or at a deadline.
#include <algorithm>

#include <unistd.h>

#include "conf/target.h"
#include "policy/procedures.h"
#include "proxy/command/bridge.h"
#include "proxy/command/bridge_targets.h"
#include "tests/unit/support/borrowed_tunnel.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

namespace test {
namespace {

using policy::Remote;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

constexpr std::int32_t kOpen = policy::number(policy::Remote::CONNECT_OPEN);
constexpr std::int32_t kClose = policy::number(policy::Remote::CONNECT_CLOSE);
constexpr std::int32_t kDestroy = policy::number(policy::Remote::DOMAIN_DESTROY);
constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);

// A bridge to one daemon, and its client.
class Scene {
 public:
  Scene() {
    auto target = conf::make_target("hail", "test+unix:///hail?socket=/run/hail");
    REQUIRE(target);
    daemon = std::make_unique<ScriptedDaemon>(clock);
    bridge = std::make_unique<proxy::Bridge>(
        clock, log, sasl, proxy::bridge_config({*target}, std::nullopt),
        [this](const tunnel::Target&) { return std::make_unique<BorrowedTunnel>(*daemon); },
        [this](const proxy::BridgeEnd& how) {
          ++ends;
          end = how;
        });
    auto [ours, theirs] = MemoryStream::pair(clock);
    near = theirs.get();
    near->close_after_end();
    far = ours.get();
    client = std::make_unique<RawClient>(std::move(ours));
    client->start();
    tunnel::io::Peer peer;
    peer.uid = ::geteuid();
    bridge->start(std::move(theirs), peer);
    settle();
  }
  ~Scene() {
    bridge->stop();
    pass(std::chrono::seconds(20));
    if (!client->closed()) client->hang_up();
    settle();
    CHECK(ends == 1);
  }
  void settle() { test::settle(clock); }
  void pass(Milliseconds time) {
    const Milliseconds until = clock.now() + time;
    while (clock.now() < until) {
      clock.advance(std::min(until, std::max(clock.next().value_or(until), clock.now())));
      settle();
    }
  }
  // The client's input ends, and it goes on reading.
  void end_input() {
    far->end();
    settle();
  }

  tunnel::io::Clock clock;
  MemoryLog log;
  proxy::Sasl sasl{proxy::read_auth_conf};
  std::unique_ptr<ScriptedDaemon> daemon;
  std::unique_ptr<proxy::Bridge> bridge;
  MemoryStream* near = nullptr;
  MemoryStream* far = nullptr;
  std::unique_ptr<RawClient> client;
  proxy::BridgeEnd end;
  int ends = 0;
};

TEST_CASE("a bridge filters, and ends when its client does", "[bridge]") {
  Scene scene;
  const auto open = scene.client->open("test:///hail");
  const auto version = scene.client->call(kLibVersion);
  const auto destroy = scene.client->call(kDestroy);
  scene.settle();
  CHECK(scene.client->ok(open));
  CHECK(scene.client->ok(version));
  CHECK(scene.client->error(destroy).code != 0);
  CHECK(scene.daemon->count(kDestroy) == 0);
  CHECK(scene.daemon->opened_names() == std::vector<std::string>{"test:///hail"});
  const auto close = scene.client->call(kClose);
  scene.settle();
  CHECK(scene.client->ok(close));
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
  CHECK(scene.end.text.empty());
  CHECK(scene.daemon->connections() == 0);
}

TEST_CASE("what was asked before the end of the input is answered", "[bridge]") {
  Scene scene;
  scene.client->open("");
  scene.settle();
  scene.daemon->hold = true;
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 40; ++i) calls.push_back(scene.client->call(kLibVersion));
  scene.end_input();
  CHECK_FALSE(scene.client->ended);
  scene.daemon->hold = false;
  for (int i = 0; i < 40 && scene.ends == 0; ++i) {
    scene.daemon->answer_all();
    scene.settle();
  }
  for (const auto call : calls) CHECK(scene.client->ok(call));
  CHECK(scene.client->ended);
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
}

TEST_CASE("answers that are unread when the input ends after a goodbye are still read",
          "[bridge]") {
  Scene scene;
  scene.client->open("");
  scene.settle();
  scene.client->stop_reading();
  const auto version = scene.client->call(kLibVersion);
  const auto close = scene.client->call(kClose);
  scene.end_input();
  CHECK(scene.ends == 0);
  scene.client->go_on_reading();
  scene.pass(std::chrono::seconds(1));
  CHECK(scene.client->ok(version));
  CHECK(scene.client->ok(close));
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
}

TEST_CASE("an open and its calls that came before the end of the input are answered", "[bridge]") {
  Scene scene;
  const auto open = scene.client->open("");
  const auto version = scene.client->call(kLibVersion);
  scene.end_input();
  CHECK(scene.client->ok(open));
  CHECK(scene.client->ok(version));
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
}

TEST_CASE("an open that takes its time is waited for after the end of the input", "[bridge]") {
  Scene scene;
  scene.daemon->silent_at = kOpen;
  const auto open = scene.client->open("");
  const auto version = scene.client->call(kLibVersion);
  const auto hostname = scene.client->call(Remote::CONNECT_GET_HOSTNAME);
  scene.end_input();
  scene.pass(std::chrono::seconds(1));
  CHECK(scene.ends == 0);
  CHECK_FALSE(scene.client->ended);
  const auto& asked = scene.daemon->asked;
  const auto late =
      std::ranges::find_if(asked, [](const auto& call) { return call.header.procedure == kOpen; });
  REQUIRE(late != asked.end());
  scene.daemon->held.push_back(*late);
  scene.daemon->answer_all();
  scene.settle();
  CHECK(scene.client->ok(open));
  CHECK(scene.client->ok(version));
  CHECK(scene.client->ok(hostname));
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
}

TEST_CASE("a daemon that does not answer is not waited for for ever", "[bridge]") {
  Scene scene;
  scene.client->open("");
  scene.settle();
  scene.daemon->silent_at = kLibVersion;
  const auto call = scene.client->call(kLibVersion);
  scene.end_input();
  scene.pass(std::chrono::seconds(29));
  CHECK(scene.ends == 0);
  scene.pass(std::chrono::seconds(5));
  CHECK(scene.client->error(call).code == 68);
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
}

TEST_CASE("a client that got no target is told why, and so is who reads the errors", "[bridge]") {
  Scene scene;
  std::string part;
  SECTION("nobody is there") {
    scene.daemon->down = true;
    part = "target 'hail': connect: ";
  }
  SECTION("the daemon refuses") {
    scene.daemon->open_error = "not today";
    part = "not today";
  }
  SECTION("it asks for something else") { part = "no target has the URI"; }
  const bool other = part.starts_with("no target");
  const auto open = scene.client->open(other ? "qemu:///system" : "");
  scene.pass(std::chrono::seconds(2));
  INFO(scene.client->error(open).text);
  CHECK(scene.client->error(open).text.find(part) != std::string::npos);
  CHECK(scene.ends == 0);
  scene.end_input();
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 1);
  CHECK(scene.end.text.find(part) != std::string::npos);
}

TEST_CASE("a client that asked for nothing leaves without a word", "[bridge]") {
  Scene scene;
  scene.end_input();
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 0);
  CHECK(scene.end.text.empty());
}

TEST_CASE("a client whose output fails is the end, quietly", "[bridge]") {
  Scene scene;
  scene.client->open("");
  scene.settle();
  scene.near->close({Reason::Kind::system, Stage::established, "Broken pipe"});
  scene.settle();
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 1);
  CHECK(scene.end.text.empty());
}

TEST_CASE("a client that breaks the rules is told of", "[bridge]") {
  Scene scene;
  scene.client->send(words({0xffffffff}));
  scene.settle();
  CHECK(scene.ends == 1);
  CHECK(scene.end.code == 1);
  CHECK(scene.end.text.find("it announced a message") != std::string::npos);
}

TEST_CASE("a bridge that is stopped answers what it can at once", "[bridge]") {
  Scene scene;
  scene.client->open("");
  scene.settle();
  scene.daemon->hold = true;
  const auto call = scene.client->call(kLibVersion);
  scene.settle();
  scene.bridge->stop();
  scene.bridge->stop();
  scene.settle();
  CHECK(scene.ends == 0);
  if (GENERATE(false, true)) {
    scene.daemon->answer_all();
    scene.settle();
    CHECK(scene.client->ok(call));
  } else {
    scene.pass(std::chrono::seconds(5));
  }
  CHECK(scene.ends == 1);
}

}  // namespace
}  // namespace test
