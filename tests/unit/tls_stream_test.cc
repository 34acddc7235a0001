// A TLS stream reads its certificates anew before it connects, sends what was written early, and
// says how a server stalled, left or refused.
#include <cerrno>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/held_errands.h"
#include "tests/unit/support/tls_scene.h"
#include "tunnel/tls/stream.h"

using base::Buffer;
using test::Scene;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;
using tunnel::io::Stream;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Buffer pattern(std::size_t size) {
  Buffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

const std::vector<Stage> kAllStages = {Stage::handshake, Stage::authentication, Stage::established};

void write_down(Scene& scene, const Buffer& data) {
  scene.server->tls.write(data);
  scene.server->flush();
}

void check_closed(const Scene& scene, Reason::Kind kind, Stage stage, const std::string& text) {
  REQUIRE(scene.client.closed.has_value());
  INFO(scene.client.closed->text);
  CHECK(scene.client.closed->kind == kind);
  CHECK(scene.client.closed->stage == stage);
  CHECK(has(scene.client.closed->text, text));
}

}  // namespace

TEST_CASE("A TLS stream opens, carries data, and closes", "[tls]") {
  Scene scene;
  scene.piece = GENERATE(as<std::size_t>{}, 0, 1, 100, 1500);
  scene.open();
  CHECK(scene.client.opened == 1);
  CHECK(scene.client.stages == kAllStages);
  CHECK(scene.client.data.empty());

  scene.client.call([](Stream& stream) {
    stream.write(pattern(3000));
    stream.write(base::bytes_of("more"));
  });
  write_down(scene, pattern(20000));
  scene.settle();
  CHECK(scene.client.data == pattern(20000));
  CHECK(scene.server->tls.received().size() == 3004);
  CHECK(scene.client.stream->queued() == 0);

  scene.client.call([](Stream& stream) {
    stream.close({Reason::Kind::requested, Stage::established, "enough"});
    stream.close({Reason::Kind::system, Stage::established, "again"});
    stream.write(pattern(10));
  });
  scene.settle();
  check_closed(scene, Reason::Kind::requested, Stage::established, "enough");
  // What is queued may be lost, and is where it takes more than one turn.
  CHECK(scene.server->tls.ended() == (scene.piece == 0 || scene.piece > 50));
  CHECK(scene.server->closed);
  CHECK(scene.server->tls.received().size() == 3004);
}

TEST_CASE("What is written before a TLS stream is open is sent after it", "[tls]") {
  Scene scene;
  const Buffer large = pattern(2 * Stream::kHighMark);
  scene.hold_below = true;
  scene.client.when_open = [&] {
    scene.client.call([](Stream& stream) { stream.write(base::bytes_of("last")); });
  };
  scene.connect();
  scene.client.call([&](Stream& stream) {
    stream.open(scene.client);
    stream.write(large);
  });
  CHECK(scene.client.stream->queued() == large.size());
  scene.settle();
  CHECK(scene.client.opened == 0);
  CHECK(scene.client.stream->queued() == large.size());
  scene.below->release_open();
  scene.settle();
  CHECK(scene.client.opened == 1);
  CHECK(scene.client.drained == 1);
  Buffer all = large;
  base::append(all, base::bytes_of("last"));
  CHECK(scene.server->tls.received() == all);
}

TEST_CASE("end() is sent behind what was written, in any state", "[tls]") {
  Scene scene;
  const bool early = GENERATE(true, false);
  if (early) {
    scene.connect();
    scene.client.call([&](Stream& stream) { stream.open(scene.client); });
  } else {
    scene.open();
  }
  scene.client.call([](Stream& stream) {
    stream.write(base::bytes_of("bye"));
    stream.end();
    stream.end();
    stream.write(base::bytes_of("not this"));
  });
  scene.settle();
  CHECK(base::text_of(scene.server->tls.received()) == "bye");
  CHECK(scene.server->tls.ended());
  CHECK(scene.server->ended);
  CHECK_FALSE(scene.client.closed);
  write_down(scene, pattern(10));
  scene.settle();
  CHECK(scene.client.data == pattern(10));
}

TEST_CASE("A server that stalls is left after the stage's time", "[tls]") {
  Scene scene;
  scene.target.timeouts.handshake = Milliseconds(700);
  scene.target.timeouts.authentication = Milliseconds(900);
  SECTION("in the handshake") {
    const std::size_t heard = GENERATE(as<std::size_t>{}, 0, 1, 5, 60, 500);
    scene.connect();
    scene.server->mute_after(heard);
    scene.client.call([&](Stream& stream) { stream.open(scene.client); });
    scene.settle();
    scene.pass(Milliseconds(699));
    CHECK_FALSE(scene.client.closed);
    scene.pass(Milliseconds(1));
    check_closed(scene, Reason::Kind::timeout, Stage::handshake, "within 700 ms");
  }
  SECTION("in the confirmation") {
    scene.world.options.send_confirmation = false;
    scene.open();
    CHECK(scene.client.stages.back() == Stage::authentication);
    scene.pass(Milliseconds(899));
    CHECK_FALSE(scene.client.closed);
    scene.pass(Milliseconds(1));
    check_closed(scene, Reason::Kind::timeout, Stage::authentication, "within 900 ms");
  }
  SECTION("but not when it is open") {
    scene.open();
    scene.pass(Milliseconds(1000000));
    CHECK_FALSE(scene.client.closed);
  }
  SECTION("nor before there is a connection, which is not ours to time") {
    scene.hold_below = true;
    scene.connect();
    scene.client.call([&](Stream& stream) { stream.open(scene.client); });
    scene.pass(Milliseconds(1000000));
    CHECK_FALSE(scene.client.closed);
  }
}

TEST_CASE("A server that goes away is told apart by when it does", "[tls]") {
  Scene scene;
  const auto hang_up = [&] { scene.server->stream->close(Reason()); };
  SECTION("in the handshake") {
    scene.connect();
    scene.server->mute_after(100);
    scene.client.call([&](Stream& stream) { stream.open(scene.client); });
    scene.settle();
    hang_up();
    scene.settle();
    check_closed(scene, Reason::Kind::end, Stage::handshake, "during the handshake");
  }
  SECTION("in place of the confirmation") {
    scene.world.options.send_confirmation = false;
    scene.open();
    hang_up();
    scene.settle();
    check_closed(scene, Reason::Kind::refused, Stage::authentication, "the server refused us");
  }
  SECTION("without a word") {
    scene.open();
    write_down(scene, pattern(10));
    hang_up();
    scene.settle();
    CHECK(scene.client.data == pattern(10));
    CHECK(scene.client.ended == 0);
    check_closed(scene, Reason::Kind::end, Stage::established, "without TLS's close_notify");
  }
  SECTION("in order") {
    scene.open();
    write_down(scene, pattern(10));
    scene.server->tls.close_notify();
    scene.server->flush();
    scene.settle();
    CHECK(scene.client.data == pattern(10));
    CHECK(scene.client.ended == 1);
    CHECK_FALSE(scene.client.closed);
    hang_up();
    scene.settle();
    check_closed(scene, Reason::Kind::end, Stage::established, "ended the connection");
  }
  SECTION("by half") {
    scene.open();
    scene.server->stream->end();
    scene.settle();
    check_closed(scene, Reason::Kind::end, Stage::established, "without TLS's close_notify");
  }
  SECTION("with a reset") {
    scene.open();
    scene.below->close({Reason::Kind::system, Stage::established, "connection reset by peer"});
    scene.settle();
    check_closed(scene, Reason::Kind::system, Stage::established, "connection reset by peer");
  }
  SECTION("with a reset in place of the confirmation") {
    scene.world.options.send_confirmation = false;
    scene.open();
    scene.below->close({Reason::Kind::system, Stage::established, "connection reset by peer"});
    scene.settle();
    check_closed(scene, Reason::Kind::system, Stage::authentication, "connection reset by peer");
    CHECK(has(scene.client.closed->text, "before the server had accepted our certificate"));
  }
  SECTION("before there was a connection") {
    scene.hold_below = true;
    scene.connect();
    scene.client.call([&](Stream& stream) { stream.open(scene.client); });
    scene.below->close({Reason::Kind::system, Stage::connect, "connection refused"});
    scene.settle();
    check_closed(scene, Reason::Kind::system, Stage::connect, "connection refused");
  }
}

TEST_CASE("A server that refuses our certificate in the handshake says why", "[tls]") {
  Scene scene;
  scene.world.options.require_certificate = true;
  // With TLS 1.3 the refusal comes in place of the confirmation.
  scene.world.options.only_tls_1_2 = true;
  std::string said;
  Reason::Kind kind = Reason::Kind::refused;
  SECTION("of another CA") {
    test::Authority other("CN=Other CA");
    scene.world.write_client(other.issue({.subject = "CN=stranger"}));
    said = "CN=stranger";
  }
  SECTION("of which there is none") {
    scene.world.folder.remove("clientkey.pem");
    said = "there is no " + scene.world.folder.path() + "/clientkey.pem";
    // This server blames the message that has none.
    kind = Reason::Kind::protocol;
  }
  scene.open();
  check_closed(scene, kind, Stage::handshake, said);
  CHECK(scene.client.opened == 0);
}

TEST_CASE("A certificate that fails a check is refused, and the server is told", "[tls]") {
  Scene scene;
  scene.target.host = "rain.example";
  scene.open();
  check_closed(scene, Reason::Kind::refused, Stage::handshake, "is not for the name rain.example");
  CHECK(scene.server->tls.failed());
  CHECK(scene.server->closed);
}

TEST_CASE("Certificates are read anew for each stream, before it connects", "[tls]") {
  Scene scene;
  scene.open();
  CHECK(scene.client.opened == 1);
  scene.client.call([](Stream& stream) { stream.close(Reason()); });
  scene.settle();

  const auto again = [&] {
    scene.client.closed.reset();
    scene.client.stages.clear();
    scene.client.opened = 0;
    scene.open();
  };
  scene.world.write_client(scene.world.authority.issue({.from_days = -9, .to_days = -1}));
  again();
  check_closed(scene, Reason::Kind::refused, Stage::authentication, "expired on");
  CHECK(scene.client.stages.empty());
  CHECK(scene.server->tls.asked_name().empty());

  scene.world.write_client(scene.world.client);
  scene.world.write_crl({.revoked = {scene.world.options.identity.serial}});
  again();
  check_closed(scene, Reason::Kind::refused, Stage::handshake, "was revoked on");

  scene.world.folder.remove("cacrl.pem");
  again();
  CHECK(scene.client.opened == 1);
}

TEST_CASE("Verification is given up only where the configuration allows it", "[tls]") {
  Scene scene;
  scene.target.host = "rain.example";
  scene.target.no_verify = true;
  SECTION("not allowed") {
    scene.open();
    check_closed(scene, Reason::Kind::refused, Stage::handshake, "insecure = true");
    CHECK(scene.notes.empty());
  }
  SECTION("allowed") {
    scene.target.insecure = true;
    scene.open();
    CHECK(scene.client.opened == 1);
    REQUIRE(scene.notes.size() == 1);
    CHECK(has(scene.notes[0], "hail: the server's certificate is not for the name rain.example"));
  }
  SECTION("but a CA there must be") {
    scene.target.insecure = true;
    scene.world.folder.remove("cacert.pem");
    scene.open();
    check_closed(scene, Reason::Kind::refused, Stage::handshake, "cacert.pem is missing");
  }
}

TEST_CASE("A TLS stream may be closed before it is opened, or never opened", "[tls]") {
  Scene scene;
  scene.connect();
  SECTION("closed") {
    scene.client.call([&](Stream& stream) {
      stream.close({Reason::Kind::requested, Stage::look_up, "no longer"});
      stream.open(scene.client);
    });
    scene.settle();
    check_closed(scene, Reason::Kind::requested, Stage::look_up, "no longer");
  }
  SECTION("never opened") { scene.client.stream.reset(); }
}

TEST_CASE("Certificates are read beside the loop, and nothing is done before", "[tls]") {
  test::HeldErrands disk;
  Scene scene;
  scene.errand = disk.runner();
  scene.target.timeouts.handshake = Milliseconds(700);
  scene.open();
  scene.client.call([](Stream& stream) { stream.write(base::bytes_of("early")); });
  scene.pass(Milliseconds(699));
  REQUIRE(disk.waited_for());
  CHECK(scene.client.stages.empty());
  SECTION("a disk that answers late is only late") {
    disk.let();
    scene.settle();
    CHECK(scene.client.opened == 1);
    CHECK(scene.server->tls.received() == Buffer{'e', 'a', 'r', 'l', 'y'});
    scene.pass(Milliseconds(1000000));
    CHECK_FALSE(scene.client.closed);
    return;
  }
  SECTION("one that does not answer ends it") {
    scene.pass(Milliseconds(1));
    check_closed(scene, Reason::Kind::timeout, Stage::handshake,
                 "our own files cannot be used: other files kept us waiting for more than 700 ms");
  }
  SECTION("one without a thread to ask it, too") {
    disk.let(EAGAIN);
    scene.settle();
    check_closed(scene, Reason::Kind::exhausted, Stage::handshake, "no thread to read them in");
  }
  SECTION("it may be closed meanwhile") {
    scene.client.call([](Stream& stream) { stream.close(Reason()); });
    scene.settle();
    check_closed(scene, Reason::Kind::requested, Stage::established, "");
  }
  CHECK_FALSE(disk.waited_for());
  disk.let();
  scene.settle();
  CHECK(scene.client.stages.empty());
}
