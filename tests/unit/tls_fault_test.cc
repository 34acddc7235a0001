// A changed byte ends a TLS connection or changes nothing, a cut is an error after the data that
// was whole, and a stream can end at every step.
#include <algorithm>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/tls_scene.h"
#include "tunnel/tls/stream.h"

using base::Buffer;
using base::Bytes;
using test::Scene;
using test::TlsServer;
using test::TlsWorld;
using tunnel::TlsEngine;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;
using tunnel::io::Stream;
using State = TlsEngine::State;

namespace {

constexpr std::size_t kNever = static_cast<std::size_t>(-1);

const Buffer kMessage = {'r', 'e', 'p', 'l', 'y', ' ', 'o', 'f', ' ', '2', '3', ' ',
                         'b', 'y', 't', 'e', 's', ',', ' ', 'o', 'n', 'c', 'e'};

// What one connection comes to when the server's bytes are tampered with.
struct Outcome {
  State state = State::failed;
  Buffer data;
  std::size_t sent = 0;  // by the server, until then
};

// Changes the byte at `offset` of all that the server sends by `mask`.
Outcome run(TlsWorld& world, std::size_t offset, std::uint8_t mask) {
  auto client = world.engine();
  auto server = world.server();
  Outcome outcome;
  bool answered = false;
  client->start();
  while (!client->output().empty()) {
    server->receive(std::exchange(client->output(), {}));
    if (server->shaken() && !std::exchange(answered, true)) {
      server->write(kMessage);
      server->close_notify();
    }
    Buffer out = std::exchange(server->output(), {});
    if (offset >= outcome.sent && offset - outcome.sent < out.size()) {
      out[offset - outcome.sent] ^= mask;
    }
    outcome.sent += out.size();
    client->receive(out);
    for (Bytes some = client->read(); !some.empty(); some = client->read()) {
      base::append(outcome.data, some);
    }
  }
  client->receive_end();
  while (!client->read().empty()) {
  }
  outcome.state = client->state();
  if (outcome.state == State::failed) CHECK_FALSE(client->failure().text.empty());
  return outcome;
}

// The least that is a handshake, since there are many of them.
void make_small(TlsWorld& world) {
  world.options.client_ca.clear();
  world.folder.remove("clientcert.pem");
  world.folder.remove("clientkey.pem");
  test::Wish wish;
  wish.subject = "CN=s";
  wish.dns = {"hail.example"};
  world.options.identity = world.authority.issue(wish);
}

}  // namespace

TEST_CASE("A byte that changes on its way ends the connection, or changes nothing", "[tls]") {
  TlsWorld world;
  make_small(world);
  const Outcome good = run(world, kNever, 0);
  REQUIRE(good.state == State::ended);
  REQUIRE(good.data == kMessage);
  std::size_t failed = 0;
  for (std::size_t offset = 0; offset < good.sent; ++offset) {
    const auto mask = static_cast<std::uint8_t>(1U << offset * 5 % 8);
    const Outcome outcome = run(world, offset, mask);
    INFO(offset);
    if (outcome.state == State::failed) {
      ++failed;
      // Damage behind the message leaves the message.
      REQUIRE((outcome.data.empty() || outcome.data == kMessage));
    } else {
      REQUIRE(outcome.state == State::ended);
      REQUIRE(outcome.data == kMessage);
    }
  }
  // What may change without harm are some bytes outside of what is signed: versions of records.
  CHECK(failed > good.sent - 16);
}

TEST_CASE("A connection cut anywhere ends in an error, with the data that was whole", "[tls]") {
  TlsWorld world;
  make_small(world);
  const std::size_t sent = run(world, kNever, 0).sent;
  for (std::size_t cut = 0; cut < sent; cut += cut + 200 < sent ? 31 : 1) {
    auto client = world.engine();
    auto server = world.server();
    client->start();
    server->receive(std::exchange(client->output(), {}));
    Buffer first = std::exchange(server->output(), {});
    const std::size_t now = std::min(cut, first.size());
    client->receive(Bytes(first).first(now));
    server->receive(std::exchange(client->output(), {}));
    Buffer data;
    if (server->shaken()) {
      server->write(kMessage);
      server->close_notify();
      // Signatures are not all of one length: the last byte is never sent.
      const std::size_t most = server->output().size() - 1;
      client->receive(Bytes(server->output()).first(std::min(cut - now, most)));
      for (Bytes some = client->read(); !some.empty(); some = client->read()) {
        base::append(data, some);
      }
    }
    client->receive_end();
    while (!client->read().empty()) {
    }
    INFO(cut);
    REQUIRE(client->state() == State::failed);
    REQUIRE((data.empty() || data == kMessage));
  }
}

namespace {

enum class Who : std::uint8_t { client, server, below };

// A connection with data both ways that somebody ends after `steps` turns of the clock. Whether the
// end came before all was done.
bool end_at(Scene& scene, Who who, int steps) {
  scene.piece = 60;
  scene.connect();
  scene.client.when_open = [&] {
    scene.client.call([](Stream& stream) { stream.write(kMessage); });
    scene.server->tls.write(kMessage);
    scene.server->flush();
  };
  scene.client.call([&](Stream& stream) { stream.open(scene.client); });
  int step = 0;
  for (; step < steps && scene.clock.next() == scene.clock.now(); ++step) {
    scene.clock.advance(scene.clock.now());
  }
  const Reason reason{Reason::Kind::requested, Stage::established, "now"};
  if (who == Who::client) {
    scene.client.call([&](Stream& stream) { stream.close(reason); });
  } else if (who == Who::server) {
    scene.server->stream->close(reason);
  } else {
    scene.below->close({Reason::Kind::system, Stage::established, "reset"});
  }
  scene.settle();
  return step == steps;
}

}  // namespace

TEST_CASE("A server that says much before the connection is open loses it", "[tls]") {
  Scene scene;
  scene.piece = std::size_t{64} * 1024;
  std::string said;
  Stage stage = Stage::handshake;
  SECTION("warnings") {
    scene.connect();
    const Buffer warning = {21, 3, 3, 0, 2, 1, 112};  // unrecognized_name
    Buffer flood;
    while (flood.size() < 1000) base::append(flood, warning);
    scene.server->stream->write(flood);
    said = "the server sends warnings in place of a handshake";
    scene.client.call([&](Stream& stream) { stream.open(scene.client); });
  }
  SECTION("tickets") {
    scene.world.options.send_confirmation = false;
    scene.world.options.sends_tickets = true;
    scene.open();
    std::size_t sent = 0;
    while (sent <= tunnel::TlsStream::kMostBeforeOpen) {
      scene.server->tls.send_ticket();
      sent += scene.server->tls.output().size();
      scene.server->flush();
    }
    said = "the server sent more than 262144 bytes before the connection was open";
    stage = Stage::authentication;
  }
  scene.settle();
  REQUIRE(scene.client.closed);
  CHECK(scene.client.closed->kind == Reason::Kind::protocol);
  CHECK(scene.client.closed->stage == stage);
  CHECK(scene.client.closed->text == said);
  scene.finish();
}

TEST_CASE("A warning of a server does not hold up the handshake", "[tls]") {
  TlsWorld world;
  auto client = world.engine();
  auto server = world.server();
  client->start();
  client->receive(Buffer{21, 3, 3, 0, 2, 1, 112});  // unrecognized_name
  CHECK(client->state() == State::handshaking);
  pump(*client, *server);
  CHECK(client->state() == State::open);
}

TEST_CASE("A TLS stream can end at every step of its life", "[tls]") {
  const Who who = GENERATE(Who::client, Who::server, Who::below);
  bool early = true;
  int steps = 0;
  for (; early; ++steps) {
    Scene scene;
    make_small(scene.world);
    early = end_at(scene, who, steps);
    INFO(steps);
    REQUIRE(scene.client.closed);
    if (who == Who::client) {
      REQUIRE(scene.client.closed->text == "now");
    } else {
      REQUIRE(scene.client.closed->kind != Reason::Kind::requested);
    }
    REQUIRE((scene.client.data.empty() || scene.client.data == kMessage));
    scene.finish();
  }
  CHECK(steps > 20);
}

TEST_CASE("A TLS stream can be closed from each call that it makes", "[tls]") {
  Scene scene;
  const auto close = [&] {
    scene.client.call([](Stream& stream) {
      stream.close({Reason::Kind::requested, Stage::established, "in the call"});
    });
  };
  SECTION("on_open") {
    scene.client.when_open = close;
    scene.open();
  }
  SECTION("on_data") {
    scene.client.when_data = close;
    scene.open();
    scene.server->tls.write(Buffer(100000));
    scene.server->flush();
    scene.settle();
    CHECK(scene.client.data.size() <= 16384);
  }
  SECTION("on_stage") {
    const Stage at = GENERATE(Stage::handshake, Stage::authentication, Stage::established);
    scene.client.when_stage = [&, at](Stage stage) {
      if (stage == at) close();
    };
    scene.open();
    CHECK(scene.client.opened == 0);
    CHECK(scene.client.stages.back() == at);
  }
  SECTION("on_end") {
    scene.client.when_end = close;
    scene.open();
    scene.server->tls.close_notify();
    scene.server->flush();
    scene.settle();
  }
  REQUIRE(scene.client.closed);
  CHECK(scene.client.closed->text == "in the call");
}
