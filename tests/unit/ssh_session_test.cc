// A server's first words are judged in memory at every split and quoted when they refuse, and what
// cannot work is refused before anything is connected.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/memory_stream.h"
#include "tunnel/ssh/tunnel.h"
#include "tunnel/ssh/wire.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

// What a server with these host key algorithms says first.
base::Buffer greeting(std::string_view host_keys) {
  base::Buffer body(18, 0x2a);
  body[1] = 20;
  for (const std::string_view names :
       {std::string_view("curve25519-sha256"), host_keys, std::string_view("aes128-ctr"),
        std::string_view("aes128-ctr"), std::string_view("hmac-sha2-256"),
        std::string_view("hmac-sha2-256"), std::string_view("none"), std::string_view("none"),
        std::string_view(), std::string_view()}) {
    tunnel::ssh::put_string(body, names);
  }
  body.insert(body.end(), 5, 0);
  const std::size_t padding = 4 + (16 - (body.size() + 4 + 4) % 8) % 8;
  body[0] = static_cast<std::uint8_t>(padding);
  body.insert(body.end(), padding, 0);
  std::string out = "SSH-2.0-Scripted_1.0\r\n";
  base::Buffer packet;
  tunnel::ssh::put_string(packet, base::Bytes(body));
  out += base::text_of(packet);
  return {out.begin(), out.end()};
}

struct Scripted {
  explicit Scripted(std::size_t piece = 0) {
    target.host = "hail";
    target.port = 22;
    target.user = "somebody";
    target.sockets = {"/run/x"};
    target.known_hosts = "/nowhere/known_hosts";
    parts.connect = [this, piece] {
      auto [near, far] = MemoryStream::pair(clock);
      near->deliver_at_most(piece);
      server = std::make_unique<Recorder>(std::move(far));
      server->open();
      return std::move(near);
    };
    tunnel = tunnel::ssh::make_ssh_tunnel(clock, target, parts);
    client = std::make_unique<Recorder>(tunnel->stream());
    client->open();
    settle(clock);
  }
  ~Scripted() {
    if (client->stream) client->close();
    settle(clock);
    tunnel.reset();
    if (server->stream) server->close();
    settle(clock);
  }
  void say(base::Bytes bytes) {
    if (server->stream) server->stream->write(bytes);
    settle(clock);
  }
  void say(std::string_view text) { say(base::bytes_of(text)); }
  void end() {
    if (server->stream) server->close();
    settle(clock);
  }

  tunnel::io::Clock clock;
  tunnel::Target target;
  tunnel::ssh::Parts parts;
  std::unique_ptr<Recorder> server;
  std::unique_ptr<tunnel::Tunnel> tunnel;
  std::unique_ptr<Recorder> client;
};

}  // namespace

TEST_CASE("ssh session: no algorithm in common, at every split of the server's bytes") {
  const base::Buffer all = greeting("x-unheard-of,y-unheard-of");
  for (std::size_t piece = 0; piece < 40; ++piece) {
    Scripted world(piece);
    world.say(all);
    REQUIRE(world.client->closed());
    CHECK(world.client->reason->kind == Reason::Kind::protocol);
    CHECK(world.client->reason->stage == Stage::handshake);
    CHECK_THAT(world.client->reason_text(),
               Contains("SSH-2.0-Scripted_1.0") &&
                   Contains("host key: the server has x-unheard-of,y-unheard-of"));
  }
  for (std::size_t split = 0; split <= all.size(); ++split) {
    Scripted world;
    world.say(base::Bytes(all).first(split));
    CHECK(world.client->closed() == (split == all.size()));
    world.end();
    REQUIRE(world.client->closed());
    CHECK(world.client->reason->stage == Stage::handshake);
    if (split < all.size()) CHECK(world.client->reason->kind == Reason::Kind::end);
  }
}

TEST_CASE("ssh session: our first words, and what the ciphers are") {
  Scripted world;
  const std::string& sent = world.server->data;
  CHECK(sent.starts_with("SSH-2.0-"));
  world.say(greeting("ssh-ed25519"));
  CHECK_FALSE(world.client->closed());
  CHECK_THAT(sent, Contains("aes256-ctr") && Contains("hmac-sha2-256") && Contains("ssh-ed25519"));
  CHECK(sent.find("-cbc") == std::string::npos);
  CHECK(sent.find("ssh-dss") == std::string::npos);
  CHECK(sent.find("hmac-md5") == std::string::npos);
  CHECK(sent.find("group1-sha1") == std::string::npos);
  CHECK(sent.find("-cert-v01") == std::string::npos);
}

TEST_CASE("ssh session: what refuses, or is no ssh server, is quoted") {
  Scripted world;
  SECTION("too many connections") {
    world.say("Exceeded MaxStartups\r\n");
    world.end();
    CHECK_THAT(world.client->reason_text(), Contains("it said: Exceeded MaxStartups"));
  }
  SECTION("something to make terminals misbehave") {
    world.say("\x1b[2Jgo away\r\n");
    world.end();
    CHECK_THAT(world.client->reason_text(), Contains("\x1b[2Jgo away"));
  }
  SECTION("nothing at all") {
    world.end();
    CHECK_THAT(world.client->reason_text(), Contains("closed the connection before it said"));
    CHECK(world.client->reason->kind == Reason::Kind::end);
  }
  SECTION("a packet of impossible length") {
    world.say(std::string("SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff", 19));
    world.say(std::string(64, '\xff'));
    REQUIRE(world.client->closed());
    CHECK_THAT(world.client->reason_text(), Contains("SSH-2.0-x"));
  }
  SECTION("noise without end") {
    for (int i = 0; i < 200 && !world.client->closed(); ++i) world.say(std::string(5000, '\x80'));
    world.clock.advance(world.clock.now() + world.target.timeouts.handshake);
    settle(world.clock);
    REQUIRE(world.client->closed());
  }
  REQUIRE(world.client->closed());
  CHECK(world.client->reason->stage == Stage::handshake);
}

TEST_CASE("ssh session: several streams share the fate of one handshake") {
  Scripted world;
  Recorder second(world.tunnel->stream());
  second.open();
  second.write("not lost, but never sent");
  Recorder third(world.tunnel->stream());
  third.open();
  third.close();
  settle(world.clock);
  CHECK(third.closed());
  CHECK_FALSE(second.closed());
  world.end();
  CHECK(second.closed());
  CHECK(second.reason_text() == world.client->reason_text());
}

TEST_CASE("ssh session: what cannot work is refused before anything is connected") {
  tunnel::io::Clock clock;
  tunnel::Target target;
  target.host = "hail";
  target.port = 22;
  target.sockets = {"/run/x"};
  tunnel::ssh::Parts parts;
  bool connected = false;
  parts.connect = [&] {
    connected = true;
    return MemoryStream::pair(clock).first;
  };
  SECTION("a socket path that is none") { target.sockets = {"x"}; }
  SECTION("nobody to be") {}
  SECTION("no check of the host key") {
    target.user = "somebody";
    target.known_hosts = "/nowhere/known_hosts";
    target.known_hosts_verify = tunnel::KnownHostsVerify::ignore;
  }
  const auto tunnel = tunnel::ssh::make_ssh_tunnel(clock, target, parts);
  Recorder stream(tunnel->stream());
  stream.open();
  CHECK_FALSE(stream.closed());
  settle(clock);
  REQUIRE(stream.closed());
  CHECK(stream.reason->kind == Reason::Kind::refused);
  CHECK_FALSE(connected);
}

TEST_CASE("ssh session: what is opened after a silence shares nothing with what is silent") {
  tunnel::io::Clock clock;
  std::vector<std::unique_ptr<Recorder>> servers;
  tunnel::Target target;
  target.host = "hail";
  target.port = 22;
  target.user = "somebody";
  target.sockets = {"/run/x"};
  target.known_hosts = "/nowhere/known_hosts";
  tunnel::ssh::Parts parts;
  parts.connect = [&] {
    auto [near, far] = MemoryStream::pair(clock);
    servers.push_back(std::make_unique<Recorder>(std::move(far)));
    servers.back()->open();
    return std::move(near);
  };
  auto tunnel = tunnel::ssh::make_ssh_tunnel(clock, target, parts);
  std::vector<std::unique_ptr<Recorder>> clients;
  const auto dial = [&] {
    clients.push_back(std::make_unique<Recorder>(tunnel->stream()));
    clients.back()->open();
    settle(clock);
    return servers.size();
  };
  CHECK(dial() == 1);
  CHECK(dial() == 1);
  clock.advance(clock.now() + Milliseconds(2000));
  servers[0]->stream->write(base::bytes_of("SSH-2.0-Scripted_1.0\r\n"));
  settle(clock);
  clock.advance(clock.now() + Milliseconds(1000));
  tunnel->avoid_silent(Milliseconds(1500));
  CHECK(dial() == 1);
  tunnel->avoid_silent(Milliseconds(1000));
  CHECK(dial() == 2);
  CHECK(dial() == 2);
  for (const auto& client : clients) client->close();
  settle(clock);
  tunnel.reset();
  for (const auto& server : servers) {
    if (server->stream) server->close();
  }
  settle(clock);
}

}  // namespace test
