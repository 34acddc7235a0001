// SASL authenticates with each mechanism, finds out a server that does not know the password, and
// gives nothing from a security layer that was tampered with.
#include <algorithm>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/sasl_scene.h"
#include "tests/unit/support/scarcity.h"

namespace {

using proxy::SaslFailure;
using test::converse;
using test::Ending;
using test::over_tcp;
using test::over_tls;
using test::SaslScene;
using test::SaslServer;
using test::SaslServerSettings;
using test::start_sasl;
using Kind = SaslFailure::Kind;

SaslServerSettings offering(const std::string& mechanisms, bool layer = false) {
  SaslServerSettings settings;
  settings.layer = layer;
  settings.mechanisms = mechanisms;
  return settings;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

base::Buffer pattern(std::size_t size) {
  base::Buffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

// The failure with which a client answers a list of mechanisms.
SaslFailure start_failure(SaslScene& scene, proxy::SaslSettings settings, const char* offered) {
  const auto client = scene.client(std::move(settings));
  auto started = start_sasl(*client, offered);
  REQUIRE(!started.ok());
  return started.error();
}

}  // namespace

TEST_CASE("SASL says who we are with each mechanism", "[sasl]") {
  SaslScene scene;
  const auto mechanism = GENERATE(as<std::string>{}, "SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5",
                                  "CRAM-MD5", "PLAIN");
  const bool success_data = GENERATE(true, false);
  INFO(mechanism << success_data);
  SaslServerSettings settings = offering(mechanism);
  settings.success_data = success_data;
  SaslServer server(settings);
  const auto client = scene.client(over_tls());
  const Ending ending = converse(*client, server);
  REQUIRE(!ending.failure);
  CHECK(!ending.refused);
  CHECK(ending.client);
  CHECK(client->mechanism() == mechanism);
  CHECK(client->place() == "[credentials-test] in auth.conf");
  if (ending.server) CHECK(holds(server.user(), "fred"));
  CHECK(client->finish() == 0);
}

TEST_CASE("a wrong password is the server's to refuse", "[sasl]") {
  SaslScene scene;
  scene.password = "wrong";
  const auto mechanism =
      GENERATE(as<std::string>{}, "SCRAM-SHA-256", "DIGEST-MD5", "CRAM-MD5", "PLAIN");
  SaslServer server(offering(mechanism));
  const auto client = scene.client(over_tls());
  const Ending ending = converse(*client, server);
  CHECK(ending.refused);
  CHECK(!ending.failure);
}

TEST_CASE("the best mechanism that both have is taken", "[sasl]") {
  SaslScene scene;
  const auto chosen = [&](proxy::SaslSettings settings, const char* offered) {
    const auto client = scene.client(std::move(settings));
    return start_sasl(*client, offered) ? client->mechanism() : "-";
  };
  CHECK(chosen(over_tls(), "PLAIN,DIGEST-MD5,SCRAM-SHA-256,SCRAM-SHA-1") == "SCRAM-SHA-256");
  CHECK(chosen(over_tls(), "PLAIN DIGEST-MD5 ANONYMOUS") == "DIGEST-MD5");
  CHECK(chosen(over_tls(), ",,PLAIN, ,NOBODY-KNOWS,") == "PLAIN");
  CHECK(chosen(over_tls(), "SCRAM-SHA-256-PLUS,PLAIN") == "PLAIN");
  CHECK(chosen(over_tls(), "ANONYMOUS") == "-");
  CHECK(chosen(over_tls("PLAIN"), "PLAIN,SCRAM-SHA-256") == "PLAIN");
  CHECK(chosen(over_tls("plain"), "PLAIN,SCRAM-SHA-256") == "-");
  CHECK(chosen(over_tls("ANONYMOUS"), "ANONYMOUS,PLAIN") == "-");
  CHECK(chosen(over_tls("SCRAM"), "SCRAM-SHA-256") == "-");
  CHECK(chosen(over_tcp(), "PLAIN,SCRAM-SHA-256,DIGEST-MD5,ANONYMOUS") == "DIGEST-MD5");
  CHECK(chosen(over_tcp(), "PLAIN,LOGIN,SCRAM-SHA-256,CRAM-MD5,ANONYMOUS") == "-");
  auto unverified = over_tls();
  unverified.plaintext = false;
  CHECK(chosen(unverified, "PLAIN,LOGIN") == "-");
  CHECK(chosen(unverified, "PLAIN,SCRAM-SHA-256") == "SCRAM-SHA-256");
}

TEST_CASE("no common mechanism says what both have", "[sasl]") {
  SaslScene scene;
  SaslFailure failure = start_failure(scene, over_tcp(), "PLAIN,SCRAM-SHA-256");
  CHECK(failure.kind == Kind::no_mechanism);
  CHECK(holds(failure.text, "the daemon offers the SASL mechanisms PLAIN, SCRAM-SHA-256, and"));
  CHECK(holds(failure.text, "DIGEST-MD5; nothing protects this connection"));
  failure = start_failure(scene, over_tls("PLAIN"), "NEW\x1b-ONE,SCRAM-SHA-256");
  CHECK(failure.kind == Kind::no_mechanism);
  CHECK(failure.text == "the daemon offers the SASL mechanisms NEW\x1b-ONE, SCRAM-SHA-256");
  failure = start_failure(scene, over_tls(), "");
  CHECK(holds(failure.text, "the daemon offers the SASL mechanisms none, and"));
  CHECK(holds(failure.text, "install the package"));
  auto unverified = over_tls();
  unverified.plaintext = false;
  unverified.why_no_plaintext = "anybody could ask";
  failure = start_failure(scene, unverified, "PLAIN");
  CHECK(holds(failure.text, "PLAIN would show the password, and anybody could ask"));
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "M,";
  CHECK(start_failure(scene, over_tls(), many.c_str()).text.size() < 1000);
}

TEST_CASE("credentials that are not there are named", "[sasl]") {
  SaslScene scene;
  scene.known = false;
  for (const char* offered : {"SCRAM-SHA-256", "SCRAM-SHA-256,DIGEST-MD5,PLAIN"}) {
    const SaslFailure failure = start_failure(scene, over_tls(), offered);
    CHECK(failure.kind == Kind::no_credentials);
    CHECK(failure.text ==
          "no credentials for the SASL mechanism SCRAM-SHA-256: there is no auth.conf");
  }
  SaslServer server(offering("DIGEST-MD5", true));
  const auto client = scene.client(over_tcp());
  const Ending ending = converse(*client, server);
  REQUIRE(ending.failure);
  CHECK(ending.failure->kind == Kind::no_credentials);
  CHECK(holds(ending.failure->text, "DIGEST-MD5: there is no auth.conf"));

  for (const auto& [user, password, lacks] :
       {std::tuple<const char*, const char*, const char*>{nullptr, "x", "authname="},
        {"fred", nullptr, "password="}}) {
    proxy::Sasl sasl(
        [user = user, password = password](const std::string&, const std::string&, auto&) {
          return test::credentials(user, password);
        });
    tunnel::io::Whereabouts whereabouts;
    const auto made = sasl.maker()(over_tls(), "", whereabouts);
    const auto half = start_sasl(*made.value(), "SCRAM-SHA-256");
    REQUIRE(!half.ok());
    CHECK(half.error().kind == Kind::no_credentials);
    CHECK(half.error().text ==
          std::string("no credentials for the SASL mechanism SCRAM-SHA-256: [credentials-test] in "
                      "auth.conf has no ") +
              lacks);
  }
}

TEST_CASE("credentials are read for each client, of the host that is meant", "[sasl]") {
  std::vector<std::string> asked;
  proxy::Sasl sasl([&](const std::string& authfile, const std::string& host, auto&) {
    asked.push_back(authfile + ":" + host);
    return test::credentials("fred", "x");
  });
  tunnel::io::Whereabouts whereabouts;
  CHECK(sasl.maker()(over_tls(), "/a", whereabouts).ok());
  CHECK(sasl.maker()({}, "", whereabouts).ok());
  CHECK(asked == std::vector<std::string>{"/a:hail.example.com", ":localhost"});
}

TEST_CASE("modules that cannot be opened now are looked for again", "[sasl]") {
  const proxy::Sasl sasl(
      [](const std::string&, const std::string&, auto&) { return test::credentials("fred", "x"); });
  tunnel::io::Whereabouts whereabouts;
  {
    const test::Scarcity scarcity;
    const auto none = sasl.maker()(over_tls(), "", whereabouts);
    REQUIRE_FALSE(none.ok());
    CHECK(none.error().kind == Kind::shortage);
    CHECK(none.error().text == "the modules of SASL: Too many open files");
    CHECK(whereabouts.place() == "the modules of SASL");
  }
  const auto client = sasl.maker()(over_tls(), "", whereabouts);
  REQUIRE(client.ok());
  CHECK(start_sasl(*client.value(), "SCRAM-SHA-256").ok());
}

TEST_CASE("an auth.conf that cannot be opened now is no lack of credentials", "[sasl]") {
  const proxy::Sasl sasl([](const std::string&, const std::string&, auto& at) {
    at.at("/etc/auth.conf");
    return proxy::CredentialsResult(base::Failure{base::Problem{"no descriptor", true}});
  });
  tunnel::io::Whereabouts whereabouts;
  const auto client = sasl.maker()(over_tls(), "", whereabouts);
  REQUIRE_FALSE(client.ok());
  CHECK(client.error().kind == Kind::shortage);
  CHECK(client.error().text == "no descriptor");
  CHECK(whereabouts.place() == "/etc/auth.conf");
}

TEST_CASE("a client lives on when what made it is gone", "[sasl]") {
  const test::SaslUsers users;
  auto sasl = std::make_unique<proxy::Sasl>([](const std::string&, const std::string&, auto&) {
    return test::credentials("fred", test::kPassword);
  });
  const proxy::Sasl::Make make = sasl->maker();
  sasl.reset();
  tunnel::io::Whereabouts whereabouts;
  const auto client = make(over_tls("SCRAM-SHA-256"), "", whereabouts);
  REQUIRE(client.ok());
  CHECK(start_sasl(*client.value(), "SCRAM-SHA-256").ok());
  CHECK(whereabouts.place() == "the modules of SASL");
}

TEST_CASE("a server that does not know the password is found out", "[sasl]") {
  SaslScene scene;
  const auto client = scene.client(over_tls("SCRAM-SHA-256"));
  SaslServer server(offering("SCRAM-SHA-256"));
  const auto first = start_sasl(*client, "SCRAM-SHA-256");
  REQUIRE(first.ok());
  const auto challenge = server.start("SCRAM-SHA-256", first.value().data);
  const auto proof = client->step(base::Bytes(*challenge.data));
  REQUIRE(proof.ok());
  CHECK(!proof.value().done);
  const auto last = server.step(proof.value().data);
  REQUIRE(last.complete);
  for (std::size_t i = 0; i < last.data->size(); ++i) {
    INFO(i);
    const auto other = scene.client(over_tls("SCRAM-SHA-256"));
    SaslServer fresh(offering("SCRAM-SHA-256"));
    const auto hello = start_sasl(*other, "SCRAM-SHA-256");
    const auto again =
        other->step(base::Bytes(*fresh.start("SCRAM-SHA-256", hello.value().data).data));
    auto end = *fresh.step(again.value().data).data;
    // Not the bits that base64 does not use.
    end[i] = end[i] == 'A' ? 'Q' : 'A';
    if (i + 2 >= end.size()) end[i] = '!';
    const auto done = other->step(base::Bytes(end));
    REQUIRE(!done.ok());
    CHECK(done.error().kind == Kind::daemon);
  }
  const auto nothing = client->step(std::nullopt);
  CHECK(!nothing.ok());
}

TEST_CASE("a security layer carries bytes however they are cut", "[sasl]") {
  SaslScene scene;
  SaslServer server(offering("DIGEST-MD5", true));
  const auto client = scene.client(over_tcp());
  const Ending ending = converse(*client, server);
  REQUIRE((ending.client && ending.server));
  REQUIRE(client->finish() >= 56);
  CHECK(server.layered());

  const base::Buffer up = pattern(200000);
  base::Buffer wire;
  REQUIRE(client->encode(up, wire));
  CHECK(wire.size() > up.size());
  CHECK(std::search(wire.begin(), wire.end(), up.begin(), up.begin() + 32) == wire.end());
  CHECK(server.decode(wire) == up);

  const base::Buffer down = pattern(5000);
  for (const std::size_t cut : {1U, 2U, 3U, 5U, 17U, 4096U}) {
    const base::Buffer sent = server.encode(down);
    base::Buffer got;
    for (std::size_t at = 0; at < sent.size(); at += cut) {
      const auto piece =
          client->decode(base::Bytes(sent).subspan(at, std::min(cut, sent.size() - at)));
      REQUIRE(piece.ok());
      base::append(got, piece.value());
    }
    CHECK(got == down);
  }
  const base::Buffer small = pattern(40);
  base::Buffer probe = server.encode(small);
  REQUIRE(client->decode(probe).ok());
  const std::size_t size = probe.size();
  for (std::size_t at = 0; at <= size; ++at) {
    const base::Buffer sent = server.encode(small);
    base::Buffer got;
    for (const base::Bytes half : {base::Bytes(sent).first(at), base::Bytes(sent).subspan(at)}) {
      if (half.empty()) continue;
      const auto piece = client->decode(half);
      REQUIRE(piece.ok());
      base::append(got, piece.value());
    }
    CHECK(got == small);
  }
}

TEST_CASE("a security layer that was tampered with yields nothing", "[sasl]") {
  SaslScene scene;
  const base::Buffer plain = pattern(40);
  for (std::size_t i = 0; i < 56; ++i) {
    INFO(i);
    SaslServer server(offering("DIGEST-MD5", true));
    const auto client = scene.client(over_tcp());
    converse(*client, server);
    client->finish();
    base::Buffer sent = server.encode(plain);
    if (i >= sent.size()) break;
    sent[i] ^= 1U;
    const auto got = client->decode(sent);
    // A length that has grown is only noticed when that much has come.
    CHECK((!got.ok() || got.value().empty()));
  }
  SaslServer server(offering("DIGEST-MD5", true));
  const auto client = scene.client(over_tcp());
  converse(*client, server);
  client->finish();
  CHECK(!client->decode(base::Buffer{0x7f, 0xff, 0xff, 0xff, 0}).ok());
}

TEST_CASE("a layer that takes next to nothing at a time takes nothing", "[sasl]") {
  SaslScene scene;
  SaslServerSettings settings = offering("DIGEST-MD5", true);
  settings.most_buffer = 100;
  SaslServer server(settings);
  const auto client = scene.client(over_tcp());
  const Ending ending = converse(*client, server);
  if (ending.client) {
    client->finish();
    base::Buffer wire;
    CHECK(!client->encode(pattern(10), wire));
  } else {
    CHECK(ending.failure);
  }
}
