// A ping reports each stage and each call, ends at its deadline before a silent daemon, and tells a
// failure with what to try.
#include <nlohmann/json.hpp>

#include "conf/target.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "proxy/command/ping_hints.h"
#include "proxy/command/ping_text.h"
#include "proxy/probe/ping.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/scripted_daemon.h"

namespace {

using proxy::Milliseconds;
using proxy::PingReport;
using test::words;
using tunnel::io::Reason;
using tunnel::io::Stage;

constexpr std::int32_t kHostname = policy::number(policy::Remote::CONNECT_GET_HOSTNAME);
constexpr std::int32_t kUri = policy::number(policy::Remote::CONNECT_GET_URI);
constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);

base::Buffer text_body(std::string_view text) {
  base::Buffer out;
  policy::XdrWriter(out).string(text);
  return out;
}

conf::TargetConfig target_to(const std::string& uri = "qemu+tcp://localhost/system") {
  auto target = conf::make_target("hail", uri, {});
  REQUIRE(target);
  return std::move(target).value();
}

class Scene {
 public:
  Scene() {
    daemon.reply = [](const policy::Header& header, base::Bytes) -> std::optional<base::Buffer> {
      if (header.procedure == kLibVersion) return words({0, 9000001});
      if (header.procedure == kHostname) return text_body("hail.example.com");
      if (header.procedure == kUri) return text_body("qemu:///system");
      return std::nullopt;
    };
  }

  void start(std::uint32_t count = 1) {
    proxy::PingSettings settings;
    settings.upstream.connect_name = target.connect_name;
    settings.count = count;
    ping = std::make_unique<proxy::Ping>(
        clock, sasl, daemon.stream(), settings, [this] { return proxy::Nanoseconds(++ticks); },
        [this] { ++done; });
    ping->start();
    settle();
  }
  void settle() { test::settle(clock); }
  void pass(Milliseconds time) {
    clock.advance(clock.now() + time);
    settle();
  }
  [[nodiscard]] const PingReport& report() const { return ping->report(); }

  tunnel::io::Clock clock;
  test::ScriptedDaemon daemon{clock};
  conf::TargetConfig target = target_to();
  proxy::Sasl sasl{proxy::read_auth_conf};
  std::unique_ptr<proxy::Ping> ping;
  std::int64_t ticks = 0;
  int done = 0;
};

std::vector<std::string> stage_names(const PingReport& report) {
  std::vector<std::string> out;
  for (const auto& stage : report.stages) out.push_back(stage.name);
  return out;
}

void check_failure(const Scene& scene, const std::string& stage, Reason::Kind kind,
                   const std::string& part) {
  CHECK(scene.done == 1);
  REQUIRE(scene.report().failure);
  INFO(scene.report().failure->reason.text);
  CHECK(scene.report().failure->stage == stage);
  CHECK(scene.report().failure->reason.kind == kind);
  CHECK(scene.report().failure->reason.text.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("a ping tells each stage, who answered, and the calls") {
  Scene scene;
  scene.daemon.cut = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{28});
  scene.start(5);
  CHECK(scene.done == 1);
  CHECK_FALSE(scene.report().failure);
  CHECK(stage_names(scene.report()) == std::vector<std::string>{"authentication", "open", "call"});
  CHECK(scene.report().calls.size() == 5);
  for (const auto time : scene.report().calls) CHECK(time.count() > 0);
  CHECK(scene.report().version == 9000001U);
  CHECK(scene.report().host == "hail.example.com");
  CHECK(scene.report().uri == "qemu:///system");
  CHECK(scene.daemon.opened_names() == std::vector<std::string>{"qemu:///system"});
  CHECK(scene.daemon.count(kLibVersion) == 5);
  CHECK(scene.daemon.count(2) == 1);
  CHECK(scene.daemon.connections() == 0);
}

TEST_CASE("however a daemon ends what the ping has ended, it is no failure") {
  Scene scene;
  const auto partings = test::partings();
  const auto which = GENERATE_COPY(range(std::size_t{0}, partings.size()));
  scene.daemon.part = partings[which];
  scene.start();
  scene.pass(Milliseconds(2000));
  CHECK(scene.done == 1);
  CHECK_FALSE(scene.report().failure);
  CHECK(scene.report().uri == "qemu:///system");
}

TEST_CASE("nobody there") {
  Scene scene;
  scene.daemon.down = true;
  scene.start();
  check_failure(scene, "connect", Reason::Kind::system, "Connection refused");
  CHECK(scene.report().stages.empty());
}

TEST_CASE("a silent server ends the wait") {
  Scene scene;
  scene.daemon.silent = true;
  scene.start();
  CHECK(scene.done == 0);
  scene.pass(scene.target.open_timeout);
  check_failure(scene, "authentication", Reason::Kind::timeout, "no answer within 10000 ms");
}

TEST_CASE("an open that the daemon refuses") {
  Scene scene;
  scene.daemon.open_error = "no such driver";
  scene.start();
  check_failure(scene, "open", Reason::Kind::refused, "no such driver");
  CHECK(stage_names(scene.report()) == std::vector<std::string>{"authentication"});
}

TEST_CASE("an authentication that nobody here can do") {
  Scene scene;
  scene.daemon.auth = 77;
  scene.start();
  check_failure(scene, "authentication", Reason::Kind::refused, "not supported");
}

TEST_CASE("a call without an answer ends the wait") {
  Scene scene;
  scene.daemon.hold = true;
  scene.start();
  CHECK(scene.done == 0);
  // A daemon that answers pings is not dead.
  for (int i = 0; i < 30 && scene.done == 0; ++i) scene.pass(Milliseconds(1000));
  check_failure(scene, "call", Reason::Kind::timeout, "no answer within 30000 ms");
}

TEST_CASE("a connection that is lost in a call") {
  Scene scene;
  scene.daemon.hold = true;
  scene.start();
  scene.daemon.kill_all();
  scene.settle();
  CHECK(scene.done == 1);
  REQUIRE(scene.report().failure);
  CHECK(scene.report().failure->stage == "call");
}

TEST_CASE("a version that is an error, and one that is none") {
  Scene scene;
  SECTION("error") {
    scene.daemon.hold = true;
    scene.start();
    REQUIRE(scene.daemon.held.size() == 1);
    base::Buffer reply;
    policy::append_error_reply(
        reply, scene.daemon.held[0].header,
        {policy::ErrorCode::no_connect, policy::ErrorDomain::none, "not today"});
    scene.daemon.send(0, reply);
    scene.settle();
    check_failure(scene, "call", Reason::Kind::refused, "not today");
  }
  SECTION("malformed") {
    scene.daemon.reply = [](const policy::Header&, base::Bytes) { return words({0}); };
    scene.start();
    check_failure(scene, "call", Reason::Kind::protocol, "that ends inside lib_ver");
  }
}

TEST_CASE("a daemon that does not say its name is still one that answers") {
  Scene scene;
  scene.daemon.reply = [](const policy::Header& header, base::Bytes) {
    return header.procedure == kLibVersion ? std::optional(words({0, 9000000})) : std::nullopt;
  };
  for (const std::int32_t silent : {kHostname, kUri}) {
    scene.daemon.refuses[silent] = "not supported";
  }
  scene.start();
  CHECK_FALSE(scene.report().failure);
  CHECK_FALSE(scene.report().host);
  CHECK_FALSE(scene.report().uri);
}

TEST_CASE("what a daemon says is printable, in text and in JSON") {
  Scene scene;
  scene.daemon.reply = [](const policy::Header& header, base::Bytes) {
    return header.procedure == kLibVersion ? words({0, 9000001}) : text_body("\x1b[2J\xff\n");
  };
  scene.start(2);
  const std::string text = proxy::ping_text(scene.target, scene.report());
  CHECK(text.find("libvirt 9.0.1 on host \\x1b[2J\\xff\\x0a") != std::string::npos);
  CHECK(text.find("2 calls: min 0.000 avg 0.000 max 0.000 ms") != std::string::npos);
  const auto json = nlohmann::json::parse(proxy::ping_json(scene.target, scene.report()));
  CHECK(json["version"] == "9.0.1");
  CHECK(json["version_number"] == 9000001);
  CHECK(json["transport"] == "tcp");
  CHECK(json["calls"]["count"] == 2);
  CHECK(json["stages"].size() == 3);
  CHECK_FALSE(json.contains("error"));
}

TEST_CASE("a failure is told with what to try") {
  Scene scene;
  scene.daemon.down = true;
  scene.start();
  const std::string text = proxy::ping_text(scene.target, scene.report());
  CHECK(text.find("failed to connect: Connection refused\n  try: does the daemon listen") !=
        std::string::npos);
  const auto json = nlohmann::json::parse(proxy::ping_json(scene.target, scene.report()));
  CHECK(json["error"]["stage"] == "connect");
  CHECK(json["error"]["kind"] == "system");
  CHECK(json["error"]["hints"].size() == 1);
  CHECK(json["version"].is_null());
}

TEST_CASE("each stage that can fail is told in words") {
  Scene scene;
  scene.start();
  using tunnel::io::Stage;
  for (const Stage stage : {Stage::look_up, Stage::connect, Stage::handshake, Stage::login,
                            Stage::channel, Stage::authentication, Stage::open}) {
    proxy::PingReport report = scene.report();
    const std::string name(tunnel::io::stage_name(stage));
    report.failure = {name, {Reason::Kind::end, stage, "it closed the connection"}};
    const std::string text = proxy::ping_text(scene.target, report);
    INFO(name);
    CHECK(text.find("\nfailed ") != std::string::npos);
    CHECK(text.find("failed in stage") == std::string::npos);
    CHECK(text.find(": it closed the connection\n") != std::string::npos);
  }
}

TEST_CASE("hints are for the stage, the transport and the reason") {
  const auto first = [](const std::string& uri, const Reason& reason) {
    const auto hints = proxy::hints_for(target_to(uri), reason);
    return hints.empty() ? std::string() : hints.front();
  };
  const auto says = [&](const std::string& uri, const Reason& reason, const std::string& part) {
    INFO(uri << ", " << part);
    CHECK(first(uri, reason).find(part) != std::string::npos);
  };
  using Kind = Reason::Kind;
  says("qemu:///system", {Kind::system, Stage::connect, "/s: No such file or directory"},
       "systemctl");
  says("qemu:///system", {Kind::system, Stage::connect, "/s: Permission denied"}, "group");
  says("qemu:///system", {Kind::system, Stage::connect, "/s: Connection refused"},
       "nobody listens");
  says("qemu+tcp://localhost/system", {Kind::system, Stage::authentication, "reset"}, "TLS");
  says("qemu+ssh://h/system", {Kind::system, Stage::channel, "the far shell says \"no\""},
       "a shell that runs commands");
  says("qemu:///system", {Kind::refused, Stage::authentication, ""}, "polkit");
  says("qemu+ssh://h/system", {Kind::refused, Stage::authentication, ""}, "polkit");
  says("qemu+ssh://h/system", {Kind::refused, Stage::login, "key /k (refused by the server)"},
       "authorized_keys");
  says("qemu+ssh://h/system", {Kind::system, Stage::channel, ""}, "AllowStreamLocalForwarding");
  says("qemu+tls://h/system", {Kind::refused, Stage::handshake, ""}, "virt-pki-validate");
  says("qemu+tls://h/system", {Kind::protocol, Stage::handshake, "what came is not TLS"}, "16514");
  says("qemu+tls://h/system", {Kind::end, Stage::handshake, ""}, "16509");
  says("qemu+tcp://localhost/system", {Kind::end, Stage::authentication, ""}, "TLS");
  says("qemu+tls://h/system", {Kind::timeout, Stage::connect, ""}, "firewall");
  says("qemu+tls://h/system", {Kind::system, Stage::look_up, ""}, "getent");
  says("qemu+tls://h/system",
       {Kind::timeout, Stage::handshake, "/pki/cacert.pem kept us waiting for more than 1 ms"},
       "file server");
  CHECK(first("qemu:///system", {Kind::system, Stage::connect, "odd"}).empty());
}
