// An upstream authenticates by SASL with and without a security layer, and bytes that do not belong
// to the layer end it.
#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/held_errands.h"
#include "tests/unit/support/reply_bodies.h"
#include "tests/unit/support/sasl_scene.h"
#include "tests/unit/support/world.h"

using policy::Remote;
using test::RawClient;
using test::SaslServer;
using test::SaslServerSettings;
using test::words;
using test::World;

namespace {

constexpr std::int32_t kLibVersion = policy::number(policy::Remote::CONNECT_GET_LIB_VERSION);

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A gate whose only daemon asks for SASL.
struct SaslWorld : World {
  explicit SaslWorld(SaslServerSettings settings) {
    users.add("fred", test::kPassword);
    if (settings.layer) config.targets[0].tunnel.transport = tunnel::Transport::tcp;
    config.targets[0].tunnel.host = test::kSaslHost;
    read_credentials = [this](const std::string&, const std::string&, auto&) {
      ++reads;
      return test::credentials("fred", password.c_str());
    };
    daemon().auth = 1;
    daemon().sasl = [settings] { return std::make_unique<SaslServer>(settings); };
  }
  SaslWorld(const SaslWorld&) = delete;
  SaslWorld& operator=(const SaslWorld&) = delete;
  // The daemon's side of SASL needs the users.
  ~SaslWorld() { end(); }

  test::SaslUsers users;
  std::string password = test::kPassword;
  int reads = 0;
};

SaslServerSettings scram() { return {false, true, 65536, "SCRAM-SHA-256"}; }
SaslServerSettings digest() { return {true, true, 65536, "DIGEST-MD5"}; }

// Answers AUTH_SASL_START with what a test says, and whatever else with nothing.
struct Lines : test::DaemonSasl {
  explicit Lines(std::vector<base::Buffer> a) : answers(std::move(a)) {}
  std::optional<base::Buffer> on_call(std::int32_t, base::Bytes) override {
    if (at == answers.size()) return std::nullopt;
    return answers[at++];
  }
  std::vector<base::Buffer> answers;
  std::size_t at = 0;
};

// A SaslWorld where our own side of a login is done when a test says so.
struct SlowWorld : SaslWorld {
  explicit SlowWorld(SaslServerSettings settings) : SaslWorld(std::move(settings)) {
    run_login = work.runner();
  }
  // Waits for the next piece of it.
  void reach(std::size_t pieces) {
    for (std::size_t i = 0; i < pieces; ++i) {
      settle();
      REQUIRE(work.waited_for());
      work.let();
    }
    settle();
  }
  test::HeldErrands work;
};

base::Buffer large_reply(std::uint32_t size) {
  base::Buffer body = test::text_reply(size);
  for (std::uint32_t i = 4; i < size; ++i) body[i] = static_cast<std::uint8_t>(i * 13 + i / 100);
  body.back() = 't';
  return body;
}

}  // namespace

TEST_CASE("an upstream says who it is by SASL, with and without a layer", "[sasl]") {
  const bool layer = GENERATE(false, true);
  const std::size_t cut = GENERATE(as<std::size_t>{}, 0, 1, 3, 29, 1000);
  SaslWorld world(layer ? digest() : scram());
  world.daemon().cut = cut;
  RawClient& client = world.opened();
  for (int i = 0; i < 5; ++i) {
    const auto serial =
        client.call(Remote::DOMAIN_LOOKUP_BY_ID, words({static_cast<std::uint32_t>(i)}));
    world.settle();
    REQUIRE(client.ok(serial));
    CHECK(client.reply(serial)->body ==
          test::usual_reply(Remote::DOMAIN_LOOKUP_BY_ID, words({static_cast<std::uint32_t>(i)})));
  }
  CHECK(world.daemon().opened_names() == std::vector<std::string>{"test:///hail"});
  CHECK(world.daemon().dials == 1);
  CHECK(world.reads == 1);
  CHECK(world.log.count(test::kPassword) == 0);
}

TEST_CASE("large replies, events and keepalive go through a layer", "[sasl]") {
  const base::Buffer large = large_reply(3000000);
  SaslWorld world(digest());
  world.gate();
  RawClient& client = world.opened();
  world.daemon().reply = [&](const policy::Header&, base::Bytes) { return large; };
  const auto serial = client.call(Remote::CONNECT_GET_CAPABILITIES);
  world.settle();
  REQUIRE(client.ok(serial));
  CHECK(client.reply(serial)->body == large);
  world.pass(std::chrono::seconds(60));
  CHECK(world.daemon().connections() == 1);
  CHECK(world.daemon().dials == 1);
  const auto again = client.call(Remote::CONNECT_GET_CAPABILITIES);
  world.settle();
  CHECK(client.ok(again));
}

TEST_CASE("a ping right behind the last word of SASL goes through the layer", "[sasl]") {
  // The daemon sends the two in one piece, of which the first half is plain.
  SaslWorld world(digest());
  world.daemon().eager_ping = true;
  const std::size_t cut = GENERATE(as<std::size_t>{}, 0, 1, 50);
  world.daemon().cut = cut;
  RawClient& client = world.opened();
  const auto serial = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(serial));
  std::size_t pongs = 0;
  for (const auto& asked : world.daemon().asked) {
    if (asked.header.program == policy::kKeepaliveProgram && asked.header.procedure == 2) ++pongs;
  }
  CHECK(pongs == 1);
}

TEST_CASE("bytes that do not belong to the layer end the upstream", "[sasl]") {
  SaslWorld world(digest());
  world.gate();
  RawClient& client = world.opened();
  world.daemon().hold = true;
  const auto serial = client.call(kLibVersion);
  world.settle();
  // A reply as it would be without the layer, and what follows it.
  world.daemon().send_plain(0, words({28, 0x20008086, 1, 157, 1, 4, 0, 28}));
  world.settle();
  CHECK(world.log.count("broke the security layer of SASL") == 1);
  CHECK(world.daemon().dials == 2);
  world.daemon().hold = false;
  world.daemon().answer_all();
  world.settle();
  CHECK(client.ok(serial));
}

TEST_CASE("a wrong password is told until it is right", "[sasl]") {
  SaslWorld world(GENERATE(scram(), digest()));
  world.password = "not-this-one";
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  const auto error = client.error(open);
  CHECK(error.code == 45);
  CHECK(holds(error.text,
              "authentication failed: target 'hail': authentication: the daemon refuses"));
  CHECK(holds(error.text, "the user or password of [credentials-test] in auth.conf with "));
  CHECK(world.log.count("not-this-one") == 0);
  world.password = test::kPassword;
  world.pass(std::chrono::seconds(60));
  CHECK(world.opened().replies.size() == 2);
}

TEST_CASE("an upstream without credentials says so", "[sasl]") {
  SaslWorld world(GENERATE(scram(), digest()));
  world.read_credentials = [](const std::string&, const std::string& host, auto&) {
    return proxy::CredentialsResult(base::Failure{"there is no auth.conf for " + host});
  };
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  CHECK(client.error(open).code == 45);
  CHECK(holds(client.error(open).text, "there is no auth.conf for hail.example.com"));
}

TEST_CASE("a daemon that breaks SASL is not believed", "[sasl]") {
  SaslWorld world(scram());
  // The list of mechanisms is PLAIN.
  const auto& [answers, code, says] = GENERATE(table<std::vector<base::Buffer>, int, std::string>(
      {{{}, 45, "asks for SASL and cannot begin it: "},
       {{words({0xffffffff})}, 39, "malformed list of SASL mechanisms"},
       {{words({5, 0x504c4149, 0x4e000000})}, 45, "with PLAIN: "},
       {{words({5, 0x504c4149, 0x4e000000}), words({1, 0, 0xffffffff})},
        39,
        "malformed step of SASL"},
       {{words({5, 0x504c4149, 0x4e000000}), words({0, 1, 0})}, 39, "although PLAIN is"}}));
  world.daemon().sasl = [lines = answers] { return std::make_unique<Lines>(lines); };
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.pass(std::chrono::seconds(15));
  INFO(client.error(open).text);
  CHECK(client.error(open).code == code);
  CHECK(holds(client.error(open).text, says));
}

TEST_CASE("a login waits for our own side of SASL, piece by piece", "[sasl]") {
  const bool layer = GENERATE(false, true);
  SlowWorld world(layer ? digest() : scram());
  // Right behind the last word, which we have to look at first.
  world.daemon().eager_ping = true;
  const std::size_t cut = GENERATE(as<std::size_t>{}, 0, 1, 50);
  world.daemon().cut = cut;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.settle();
  std::size_t pieces = 0;
  while (world.work.waited_for()) {
    REQUIRE(++pieces < 10);
    CHECK(client.replies_to(open) == 0);
    world.work.let();
    world.settle();
  }
  // The client itself, its beginning, and a step or two.
  CHECK(pieces >= 3);
  CHECK(client.ok(open));
  const auto serial = client.call(kLibVersion);
  world.settle();
  CHECK(client.ok(serial));
  CHECK(world.daemon().dials == 1);
}

TEST_CASE("our own side of SASL has the same deadline, and says what it waited for", "[sasl]") {
  SlowWorld world(scram());
  RawClient& client = world.client();
  const auto open = client.open("hail");
  const std::size_t pieces = GENERATE(0U, 1U, 2U);
  world.reach(pieces);
  REQUIRE(world.work.waited_for());
  world.pass(std::chrono::milliseconds(9900));
  CHECK(client.replies_to(open) == 0);
  world.pass(std::chrono::milliseconds(200));
  CHECK(client.error(open).code == 38);
  CHECK(holds(client.error(open).text, " kept us waiting for more than 10000 ms"));
  // Nobody hears of what comes so late.
  CHECK_FALSE(world.work.waited_for());
  world.work.let();
  world.settle();
}

TEST_CASE("a gate can end while our own side of SASL is at work", "[sasl]") {
  SlowWorld world(scram());
  world.client().open("hail");
  world.reach(GENERATE(0U, 1U, 2U));
  REQUIRE(world.work.waited_for());
  world.end();
  world.work.let();
}

TEST_CASE("what a daemon says while our own side of SASL is at work is a breach", "[sasl]") {
  SlowWorld world(scram());
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.reach(1);
  REQUIRE(world.work.waited_for());
  // An answer to AUTH_SASL_START, which has not been sent.
  world.daemon().send_plain(0, words({40, 0x20008086, 1, 68, 1, 9, 0, 0, 1, 0}));
  world.settle();
  CHECK(client.replies_to(open) == 0);
  world.reach(1);
  CHECK(client.error(open).code == 39);
  CHECK(holds(client.error(open).text, "answered a call that was not made"));
}

TEST_CASE("a login that this host is too short for is no refusal", "[sasl]") {
  SlowWorld world(scram());
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.reach(GENERATE(0U, 1U, 2U));
  REQUIRE(world.work.waited_for());
  world.work.let(EAGAIN);
  world.settle();
  CHECK(client.error(open).code == 38);
  CHECK(holds(client.error(open).text, "no thread for SASL: Resource temporarily unavailable"));
  // It is tried again, and not only when the configuration is another.
  world.run_login = tunnel::io::run_errand_at_once;
  world.pass(std::chrono::seconds(5));
  world.opened();
  CHECK(world.daemon().dials == 2);
}

TEST_CASE("SASL has until the deadline of the open", "[sasl]") {
  SaslWorld world(scram());
  RawClient& client = world.client();
  world.gate();
  const auto open = client.open("hail");
  world.daemon().silent_at = GENERATE(67, 68, 69);
  world.pass(std::chrono::seconds(30));
  CHECK(client.error(open).code == 38);
  CHECK(holds(client.error(open).text, "authentication: no answer within 10000 ms"));
}
