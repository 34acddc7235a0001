// The daemon's list decides how the gate authenticates, a daemon that does not know the password is
// found out, and SASL ends within a bound of steps.
#include "conf/target.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "proxy/upstream/authentication.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/sasl_scene.h"

namespace {

using proxy::Authentication;
using proxy::AuthenticationSettings;
using test::SaslScene;
using test::SaslServer;
using test::step_reply;
using test::words;
using What = Authentication::Next::What;

constexpr std::int32_t kList = policy::number(policy::Remote::AUTH_LIST);
constexpr std::int32_t kInit = policy::number(policy::Remote::AUTH_SASL_INIT);
constexpr std::int32_t kStart = policy::number(policy::Remote::AUTH_SASL_START);
constexpr std::int32_t kPolkit = policy::number(policy::Remote::AUTH_POLKIT);

AuthenticationSettings asking(const std::string& request, bool layer = false) {
  AuthenticationSettings settings;
  settings.request = request;
  settings.sasl = layer ? test::over_tcp() : test::over_tls();
  if (request.starts_with("sasl.")) settings.sasl.mechanism = request.substr(5);
  return settings;
}

base::Buffer mechanisms(const std::string& names) {
  base::Buffer body;
  policy::XdrWriter(body).string(names);
  return body;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// An authentication that has been told of SASL and of these mechanisms.
struct Begun {
  explicit Begun(SaslScene& scene, const std::string& names, bool layer = false)
      : authentication(scene.sasl, asking("", layer)) {
    authentication.begin();
    authentication.on_reply(words({1, 1}));
    next = authentication.on_reply(mechanisms(names));
  }
  void tell(const base::Buffer& body) { next = authentication.on_reply(body); }

  Authentication authentication;
  Authentication::Next next;
};

// Goes through with it against a server.
Authentication::Next finish(Authentication& authentication, SaslServer& server) {
  authentication.begin();
  auto next = authentication.on_reply(words({1, 1}));
  while (next.what == What::call) {
    const auto said = server.on_call(next.procedure, next.body);
    next = said ? authentication.on_reply(*said)
                : authentication.on_error({45, "authentication failed: authentication failed"});
  }
  return next;
}

AuthenticationSettings of(const std::string& uri, bool insecure = false) {
  const auto made = conf::target_of("t", uri, conf::Environment());
  REQUIRE(made.ok());
  conf::TargetConfig target = made.value();
  target.tunnel.insecure = insecure;
  return proxy::authentication_settings(target);
}

}  // namespace

TEST_CASE("the daemon's list of authentications decides", "[authentication]") {
  SaslScene scene;
  const auto next = [&](const std::string& request, const base::Buffer& list) {
    Authentication authentication(scene.sasl, asking(request));
    const auto first = authentication.begin();
    CHECK(first.procedure == kList);
    CHECK(first.body.empty());
    return authentication.on_reply(list);
  };
  CHECK(next("", words({1, 0})).what == What::done);
  CHECK(next("", words({1, 1})).procedure == kInit);
  CHECK(next("", words({1, 2})).procedure == kPolkit);
  CHECK(next("", words({2, 0, 1})).what == What::done);
  CHECK(next("sasl", words({2, 0, 1})).procedure == kInit);
  CHECK(next("sasl.PLAIN", words({1, 1})).procedure == kInit);
  CHECK(next("polkit", words({3, 0, 1, 2})).procedure == kPolkit);
  CHECK(next("", words({1, 7})).text ==
        "the daemon asks for an authentication that is not supported (type 7)");
  CHECK(next("sasl.GSSAPI", words({1, 2})).text ==
        "requested authentication type sasl.GSSAPI rejected: the daemon asks for polkit");
  CHECK(next("polkit", words({2, 0, 1})).text ==
        "requested authentication type polkit rejected: the daemon asks for none, sasl");
  CHECK(next("sasl", words({1, 0})).what == What::refused);
  for (const base::Buffer& list :
       {words({}), words({0}), words({1}), words({2, 0}), words({1, 0, 0}), words({0xffffffff, 0}),
        words({21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})}) {
    CHECK(next("", list).what == What::malformed);
  }
}

TEST_CASE("authentication goes through with SASL", "[authentication]") {
  SaslScene scene;
  const auto& [mechanism, layer] = GENERATE(table<std::string, bool>({{"SCRAM-SHA-256", false},
                                                                      {"PLAIN", false},
                                                                      {"CRAM-MD5", false},
                                                                      {"DIGEST-MD5", false},
                                                                      {"DIGEST-MD5", true}}));
  const bool success_data = GENERATE(true, false);
  INFO(mechanism << success_data);
  SaslServer server({layer, success_data, 65536, mechanism});
  Authentication authentication(scene.sasl, asking("", layer));
  const auto next = finish(authentication, server);
  INFO(next.text);
  CHECK(next.what == What::done);
  const auto client = authentication.take_layer();
  REQUIRE((client != nullptr) == layer);
  if (layer) {
    base::Buffer wire;
    CHECK(client->encode(words({1, 2, 3}), wire));
    CHECK(server.decode(wire) == words({1, 2, 3}));
  }
}

TEST_CASE("what the daemon says of a wrong password is passed on", "[authentication]") {
  SaslScene scene;
  scene.password = "not-this-one";
  const auto mechanism = GENERATE(as<std::string>{}, "SCRAM-SHA-256", "DIGEST-MD5", "PLAIN");
  SaslServer server({false, true, 65536, mechanism});
  Authentication authentication(scene.sasl, asking(""));
  const auto next = finish(authentication, server);
  CHECK(next.what == What::refused);
  CHECK(next.text ==
        "the daemon refuses the user or password of [credentials-test] in auth.conf "
        "with " +
            mechanism + ": authentication failed: authentication failed");
}

TEST_CASE("failures of SASL say what to do", "[authentication]") {
  SaslScene scene;
  {
    Authentication authentication(scene.sasl, asking("sasl.SCRAM-SHA-256", true));
    authentication.begin();
    authentication.on_reply(words({1, 1}));
    CHECK(authentication.on_reply(mechanisms("DIGEST-MD5")).text ==
          "requested authentication type sasl.SCRAM-SHA-256 rejected: the daemon offers the SASL "
          "mechanisms DIGEST-MD5");
  }
  {
    Authentication authentication(scene.sasl, asking(""));
    authentication.begin();
    CHECK(!authentication.in_sasl());
    authentication.on_reply(words({1, 1}));
    CHECK(authentication.in_sasl());
    CHECK(authentication.on_error({45, "no\x1b mechanism"}).text ==
          "the daemon asks for SASL and cannot begin it: no\x1b mechanism; its own log says more");
  }
  scene.known = false;
  const Begun begun(scene, "SCRAM-SHA-256");
  CHECK(begun.next.what == What::refused);
  CHECK(begun.next.text ==
        "no credentials for the SASL mechanism SCRAM-SHA-256: there is no auth.conf");
}

TEST_CASE("lists of mechanisms are bounded", "[authentication]") {
  SaslScene scene;
  const auto next = [&](const base::Buffer& body) {
    Authentication authentication(scene.sasl, asking(""));
    authentication.begin();
    authentication.on_reply(words({1, 1}));
    return authentication.on_reply(body).what;
  };
  CHECK(next(mechanisms("PLAIN")) == What::call);
  CHECK(next(mechanisms(std::string(4096, 'x'))) == What::refused);
  CHECK(next(mechanisms(std::string(4097, 'x'))) == What::malformed);
  CHECK(next(words({})) == What::malformed);
  CHECK(next(words({0xffffffff})) == What::malformed);
  CHECK(next(words({4})) == What::malformed);
  CHECK(next(words({4, 0, 0})) == What::malformed);
}

TEST_CASE("malformed steps of SASL are refused", "[authentication]") {
  SaslScene scene;
  std::vector<base::Buffer> bodies = {
      words({}),
      words({0}),
      words({0, 0}),
      words({0, 0, 1}),
      words({0, 0, 1, 'a', 0}),
      words({0, 0, 0xffffffff}),
      words({0, 0, 0xffffffff, 'a'}),
      words({0, 0, 0x40000000}),
      words({0, 0, 0x40000001, 'a'}),
      words({0, 0, 0x80000000}),
      words({0, 0, 1, 0x100}),
      words({0, 0, 1, 0x7fffffff}),
      words({0, 0, 1, 0xffffff7f}),
      words({0, 0, 2, 'a', 0x61616161}),
      words({0, 1, 1, 'a'}),
  };
  base::Buffer large = words({0, 0, 65537});
  large.resize(large.size() + std::size_t{4} * 65537);
  bodies.push_back(large);
  for (const base::Buffer& body : bodies) {
    Begun begun(scene, "SCRAM-SHA-256");
    REQUIRE(begun.next.procedure == kStart);
    begun.tell(body);
    CHECK(begun.next.what == What::malformed);
    CHECK(begun.next.text == "the daemon sent a malformed step of SASL");
  }
  Begun begun(scene, "SCRAM-SHA-256");
  large = words({0, 0, 65536});
  large.resize(large.size() + std::size_t{4} * 65536);
  begun.tell(large);
  CHECK(begun.next.what == What::refused);
}

TEST_CASE("bytes of SASL come with or without a sign", "[authentication]") {
  SaslScene scene;
  for (const std::uint32_t word : {0xffU, 0xffffffffU, 0x80U, 0xffffff80U, 0U}) {
    Begun begun(scene, "SCRAM-SHA-256");
    begun.tell(words({0, 0, 1, word}));
    CHECK(begun.next.what == What::refused);
    CHECK(holds(begun.next.text, "the daemon is not trusted: SCRAM-SHA-256"));
  }
}

TEST_CASE("a daemon must prove that it knows the password", "[authentication]") {
  SaslScene scene;
  const std::string unproved =
      "the daemon says that SCRAM-SHA-256 has succeeded, but it has not proved who it is";
  for (const int after : {1, 2}) {
    for (const bool empty : {false, true}) {
      Begun begun(scene, "SCRAM-SHA-256");
      SaslServer fresh({false, true, 65536, "SCRAM-SHA-256"});
      if (after == 2) begun.tell(*fresh.on_call(begun.next.procedure, begun.next.body));
      REQUIRE(begun.next.what == What::call);
      begun.tell(
          step_reply(true, empty ? std::optional<base::Bytes>(base::Bytes()) : std::nullopt));
      CHECK(begun.next.what == What::refused);
      if (!empty) CHECK(begun.next.text == unproved);
    }
  }
  SaslServer server({false, true, 65536, "SCRAM-SHA-256"});
  Begun begun(scene, "SCRAM-SHA-256");
  auto challenge = *server.on_call(begun.next.procedure, begun.next.body);
  challenge[3] = 1;
  begun.tell(challenge);
  CHECK(begun.next.text == unproved);
  Begun digest(scene, "DIGEST-MD5", true);
  digest.tell(step_reply(true, std::nullopt));
  CHECK(digest.next.what == What::refused);
}

TEST_CASE("SASL does not go on for ever", "[authentication]") {
  SaslScene scene;
  Begun plain(scene, "PLAIN");
  plain.tell(step_reply(false, std::nullopt));
  CHECK(plain.next.what == What::malformed);
  CHECK(plain.next.text == "the daemon goes on with SASL although PLAIN is through");
  Begun more(scene, "PLAIN");
  more.tell(step_reply(true, base::bytes_of("more")));
  CHECK(more.next.what == What::malformed);
  // LOGIN answers whatever it is asked, and has no end of its own.
  Begun login(scene, "LOGIN");
  int steps = 0;
  while (login.next.what == What::call && steps < 100) {
    login.tell(step_reply(false, base::bytes_of("?")));
    ++steps;
  }
  CHECK(login.next.what != What::call);
  CHECK(steps <= Authentication::kMostSteps + 1);
}

TEST_CASE("what SASL has to do follows from the transport", "[authentication]") {
  const auto unix = of("qemu+unix:///system");
  CHECK((!unix.sasl.layer && unix.sasl.plaintext));
  CHECK(unix.sasl.mechanism.empty());
  const auto tcp = of("qemu+tcp://hail/system?auth=sasl.DIGEST-MD5&authfile=/a", true);
  CHECK((tcp.sasl.layer && !tcp.sasl.plaintext));
  CHECK(tcp.request == "sasl.DIGEST-MD5");
  CHECK(tcp.sasl.mechanism == "DIGEST-MD5");
  CHECK(tcp.sasl.host == "hail");
  CHECK(tcp.authfile == "/a");
  const auto loopback = of("qemu+tcp://localhost/system?auth=sasl");
  CHECK((loopback.sasl.layer && !loopback.sasl.plaintext));
  CHECK(loopback.sasl.mechanism.empty());
  const auto tls = of("qemu://hail/system");
  CHECK((!tls.sasl.layer && tls.sasl.plaintext));
  const auto unverified = of("qemu://hail/system?no_verify=1", true);
  CHECK((!unverified.sasl.layer && !unverified.sasl.plaintext));
  const auto ssh = of("qemu+ssh://hail/system");
  CHECK((!ssh.sasl.layer && ssh.sasl.plaintext));
  for (const char* parameter : {"known_hosts_verify=ignore", "no_verify=1"}) {
    const auto any = of(std::string("qemu+ssh://hail/system?") + parameter, true);
    CHECK((!any.sasl.layer && !any.sasl.plaintext));
  }
  const auto ext = of("qemu+ext://hail/system?command=/x");
  CHECK((ext.sasl.layer && !ext.sasl.plaintext));
  const auto trusted = of("qemu+ext://hail/system?command=/x", true);
  CHECK((!trusted.sasl.layer && trusted.sasl.plaintext));
}
