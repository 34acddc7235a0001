// A TLS connection opens only after libvirt's byte, tells an orderly end from a cut, begins no new
// handshake and no version before 1.2, and is not held up by what comes between data.
#include <algorithm>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/tls_world.h"
#include "tunnel/tls/engine.h"

using base::Buffer;
using base::Bytes;
using test::TlsServer;
using test::TlsWorld;
using tunnel::TlsEngine;
using tunnel::io::Reason;
using tunnel::io::Stage;
using State = TlsEngine::State;

namespace {

Buffer pattern(std::size_t size) {
  Buffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("TLS opens after the server's byte and carries data both ways", "[tls]") {
  TlsWorld world;
  const std::size_t piece = GENERATE(as<std::size_t>{}, 0, 1, 2, 3, 4, 5, 6, 7, 13, 64, 1000);
  world.options.only_tls_1_2 = GENERATE(true, false);
  auto client = world.engine();
  auto server = world.server();
  client->start();
  CHECK(client->state() == State::handshaking);
  Buffer data;
  pump(*client, *server, piece, data);
  REQUIRE(client->state() == State::open);
  CHECK(server->client_has_certificate());
  CHECK(server->version() == (world.options.only_tls_1_2 ? "TLS1.2" : "TLS1.3"));
  CHECK(server->cipher() == "AES-128-GCM");
  CHECK(server->asked_name() == "hail.example");

  const Buffer up = pattern(40000);
  const Buffer down = pattern(50000);
  client->write(up);
  server->write(down);
  pump(*client, *server, piece, data);
  CHECK(server->received() == up);
  CHECK(data == down);
}

TEST_CASE("TLS takes the server's bytes cut in two anywhere", "[tls]") {
  TlsWorld world;
  world.options.only_tls_1_2 = GENERATE(true, false);
  const Buffer message = pattern(100);
  bool cut_beyond_the_end = false;
  for (std::size_t cut = 1; !cut_beyond_the_end; ++cut) {
    auto client = world.engine();
    auto server = world.server();
    client->start();
    Buffer data;
    std::size_t sent = 0;
    bool written = false;
    for (bool moved = true; moved;) {
      moved = !client->output().empty();
      server->receive(std::exchange(client->output(), {}));
      if (server->shaken() && !std::exchange(written, true)) server->write(message);
      const Buffer out = std::exchange(server->output(), {});
      moved = moved || !out.empty();
      const std::size_t first = cut > sent ? std::min(cut - sent, out.size()) : 0;
      for (const Bytes part : {Bytes(out).first(first), Bytes(out).subspan(first)}) {
        if (!part.empty()) client->receive(part);
        for (Bytes some = client->read(); !some.empty(); some = client->read()) {
          base::append(data, some);
        }
      }
      sent += out.size();
    }
    REQUIRE(client->state() == State::open);
    REQUIRE(data == message);
    cut_beyond_the_end = cut > sent;
  }
}

TEST_CASE("TLS decrypts only what is asked for", "[tls]") {
  TlsWorld world;
  auto client = world.engine();
  auto server = world.server();
  shake_hands(*client, *server);
  const Buffer down = pattern(100000);
  server->write(down);
  server->close_notify();
  client->receive(std::exchange(server->output(), {}));
  CHECK(client->state() == State::open);
  client->receive_end();
  CHECK(client->state() == State::open);
  Buffer data;
  for (Bytes some = client->read(); !some.empty(); some = client->read()) {
    CHECK(some.size() <= 16384);
    base::append(data, some);
  }
  CHECK(data == down);
  CHECK(client->state() == State::ended);
}

TEST_CASE("TLS tells an end in order from a cut", "[tls]") {
  TlsWorld world;
  auto client = world.engine();
  auto server = world.server();
  shake_hands(*client, *server);

  SECTION("close_notify of the server") {
    server->close_notify();
    pump(*client, *server);
    CHECK(client->state() == State::ended);
    client->write(pattern(10));
    client->end();
    server->receive(std::exchange(client->output(), {}));
    CHECK(server->received() == pattern(10));
    CHECK(server->ended());
  }
  SECTION("close_notify of ours") {
    client->end();
    pump(*client, *server);
    CHECK(server->ended());
    CHECK(client->state() == State::open);
  }
  SECTION("a cut, at any place of a record") {
    server->write(pattern(10));
    const Buffer record = std::exchange(server->output(), {});
    for (std::size_t cut = 0; cut < record.size(); ++cut) {
      TlsWorld again;
      auto other = again.engine();
      auto other_server = again.server();
      shake_hands(*other, *other_server);
      other_server->write(pattern(10));
      other->receive(Bytes(other_server->output()).first(cut));
      CHECK(other->read().empty());
      other->receive_end();
      CHECK(other->read().empty());
      REQUIRE(other->state() == State::failed);
      CHECK(other->failure().kind == Reason::Kind::end);
      CHECK(other->failure().stage == Stage::established);
      CHECK(has(other->failure().text, "without TLS's close_notify"));
      cut += 5;
    }
  }
}

TEST_CASE("TLS waits for the server's byte", "[tls]") {
  TlsWorld world;
  world.options.send_confirmation = false;
  auto client = world.engine();
  auto server = world.server();
  client->start();
  pump(*client, *server);
  REQUIRE(client->state() == State::confirming);
  CHECK(client->read().empty());
  server->write(Buffer{1, 'a', 'b'});
  Buffer data;
  pump(*client, *server, 0, data);
  CHECK(client->state() == State::open);
  CHECK((data == Buffer{'a', 'b'}));
}

TEST_CASE("TLS takes anything but the server's byte for a refusal", "[tls]") {
  TlsWorld world;
  world.options.send_confirmation = false;
  auto client = world.engine();
  auto server = world.server();
  client->start();
  pump(*client, *server);
  REQUIRE(client->state() == State::confirming);
  std::string said = "closed the connection";
  SECTION("another byte") {
    server->write(Buffer{0});
    said = "byte 0 in place of 1";
  }
  SECTION("an alert") {
    server->alert(46);
    said = "certificate_unknown";
  }
  SECTION("an alert that is not about certificates") {
    server->alert(80);
    said = "internal_error";
  }
  SECTION("an end in order") { server->close_notify(); }
  SECTION("an end") { client->receive_end(); }
  pump(*client, *server);
  REQUIRE(client->state() == State::failed);
  CHECK(client->failure().kind == Reason::Kind::refused);
  CHECK(client->failure().stage == Stage::authentication);
  CHECK(has(client->failure().text, said));
  CHECK(has(client->failure().text, "refused"));
  CHECK(has(client->failure().text, world.folder.path() + "/clientcert.pem"));
  CHECK(has(client->failure().text, "CN=gate"));
}

TEST_CASE("TLS does not begin a new handshake, however often it is asked", "[tls]") {
  TlsWorld world;
  world.options.only_tls_1_2 = true;
  auto client = world.engine();
  auto server = world.server();
  shake_hands(*client, *server);
  server->ask_for_new_handshake();
  client->receive(std::exchange(server->output(), {}));
  CHECK(client->read().empty());
  CHECK(client->state() == State::open);
  CHECK(client->output().size() < 100);

  std::size_t answered = 0;
  for (int i = 0; i < 10000 && client->state() == State::open; ++i) {
    server->ask_for_new_handshake();
    client->receive(std::exchange(server->output(), {}));
    CHECK(client->read().empty());
    answered += std::exchange(client->output(), {}).size();
  }
  CHECK(client->state() == State::failed);
  CHECK(client->failure().kind == Reason::Kind::protocol);
  CHECK(answered < 32 * 1024);
}

TEST_CASE("TLS takes new keys of the server, and only so many of them", "[tls]") {
  TlsWorld world;
  auto client = world.engine();
  auto server = world.server();
  shake_hands(*client, *server);
  server->ask_for_new_keys();
  server->write(pattern(10));
  client->write(pattern(20));
  Buffer data;
  pump(*client, *server, 0, data);
  client->write(pattern(30));
  server->write(pattern(40));
  pump(*client, *server, 0, data);
  CHECK(data.size() == 50);
  CHECK(server->received().size() == 50);

  std::size_t answered = 0;
  int asked = 0;
  for (; asked < 10000 && client->state() == State::open; ++asked) {
    server->ask_for_new_keys();
    client->receive(std::exchange(server->output(), {}));
    CHECK(client->read().empty());
    client->write(pattern(1));
    Buffer answer = std::exchange(client->output(), {});
    answered += answer.size();
    server->receive(answer);
  }
  CHECK(client->state() == State::failed);
  CHECK(client->failure().kind == Reason::Kind::protocol);
  CHECK(answered < 32 * 1024);
}

TEST_CASE("TLS passes over tickets and empty records", "[tls]") {
  TlsWorld world;
  world.options.sends_tickets = true;
  auto client = world.engine();
  auto server = world.server();
  client->start();
  Buffer data;
  pump(*client, *server, 0, data);
  REQUIRE(client->state() == State::open);
  for (int i = 0; i < 1000; ++i) {
    server->send_ticket();
    server->write_nothing();
    if (i % 100 == 99) server->write(pattern(100));
  }
  // All at once: nothing of it may wait for more to come.
  client->receive(std::exchange(server->output(), {}));
  for (Bytes some = client->read(); !some.empty(); some = client->read()) base::append(data, some);
  CHECK(client->state() == State::open);
  CHECK(data.size() == 1000);
  CHECK(client->output().empty());
}

TEST_CASE("TLS tells the server what it holds against it", "[tls]") {
  TlsWorld world;
  world.options.only_tls_1_2 = GENERATE(true, false);
  auto client = world.engine();
  auto server = world.server();
  shake_hands(*client, *server);
  server->write(pattern(10));
  server->output().back() ^= 1;
  pump(*client, *server);
  CHECK(client->state() == State::failed);
  CHECK(client->failure().kind == Reason::Kind::protocol);
  CHECK(server->heard_alert() == 20);
}

TEST_CASE("TLS says what the server did in place of a handshake", "[tls]") {
  TlsWorld world;
  auto client = world.engine();
  client->start();
  std::string said;
  Reason::Kind kind = Reason::Kind::protocol;
  SECTION("it closed") {
    client->receive_end();
    said = "closed the connection during the handshake";
    kind = Reason::Kind::end;
  }
  SECTION("it does not speak TLS") {
    client->receive(base::bytes_of("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"));
    said = "not TLS";
  }
  SECTION("it speaks HTTP") {
    client->receive(base::bytes_of("HTTP/1.1 400 Bad Request\r\n"));
    said = "not TLS";
  }
  SECTION("it has no version in common") {
    client->receive(Buffer{21, 3, 3, 0, 2, 2, 70});
    said = "alert protocol_version";
    kind = Reason::Kind::refused;
  }
  SECTION("it finds nothing in common") {
    client->receive(Buffer{21, 3, 3, 0, 2, 2, 40});
    said = "(alert handshake_failure): it may ";
    kind = Reason::Kind::refused;
  }
  SECTION("it breaks off") {
    client->receive(Buffer{21, 3, 3, 0, 2, 2, 80});
    said = "alert internal_error";
  }
  SECTION("an alert without a name") {
    client->receive(Buffer{21, 3, 3, 0, 2, 2, 250});
    said = "alert 250";
  }
  SECTION("an endless record") {
    client->receive(Buffer{22, 3, 3, 255, 255, 2, 0, 0});
    said = "GnuTLS";
  }
  REQUIRE(client->state() == State::failed);
  CHECK(client->failure().kind == kind);
  CHECK(client->failure().stage == Stage::handshake);
  CHECK(has(client->failure().text, said));
}

TEST_CASE("TLS refuses versions older than 1.2", "[tls]") {
  TlsWorld world;
  const std::uint8_t minor = GENERATE(as<std::uint8_t>{}, 0, 1, 2);
  auto client = world.engine();
  client->start();
  // A ServerHello with ECDHE-ECDSA-AES128-SHA.
  Buffer hello = {22, 3, minor, 0, 42, 2, 0, 0, 38, 3, minor};
  hello.resize(hello.size() + 32);
  base::append(hello, Buffer{0, 0xc0, 0x09, 0});
  client->receive(hello);
  REQUIRE(client->state() == State::failed);
  CHECK(client->failure().kind == Reason::Kind::refused);
  CHECK(has(client->failure().text, "older ones are not accepted"));
}
