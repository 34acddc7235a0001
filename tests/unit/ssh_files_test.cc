// Known hosts and keys are read beside the loop: a disk that does not answer ends the connection in
// its time with a reason, and a connection may end before its disk answers.
#include <cerrno>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/held_errands.h"
#include "tests/unit/support/ssh_server.h"
#include "tunnel/ssh/tunnel.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Clock;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

// A real server, and a disk that answers when the test lets it.
struct DiskWorld : TurnedSshWorld {
  DiskWorld() {
    parts.errand = disk.runner();
    target.known_hosts = folder / "known_hosts";
  }
  ~DiskWorld() { finish(); }

  void until_read() {
    until([&] { return disk.waited_for(); });
  }
  // Lets the disk answer so often, and waits for the next question.
  void let(int times) {
    for (int i = 0; i < times; ++i) {
      until_read();
      disk.let();
    }
    until_read();
  }
  // The time of the stage passes.
  Reason late(Recorder& stream) {
    clock.advance(clock.now() + Milliseconds(10000));
    until([&] { return stream.closed(); });
    CHECK_FALSE(disk.waited_for());
    disk.let();
    return *stream.reason;
  }
  Recorder& opened() {
    Recorder& stream = open();
    until([&] {
      disk.let();
      return stream.opened || stream.closed();
    });
    INFO(stream.reason_text());
    REQUIRE(stream.opened);
    return stream;
  }

  HeldErrands disk;
};

}  // namespace

TEST_CASE("ssh files: a disk that answers late is only late") {
  DiskWorld world;
  SECTION("a host that is known") {}
  SECTION("a new one, which is recorded") {
    write_file(world.target.known_hosts, "");
    world.target.known_hosts_verify = tunnel::KnownHostsVerify::automatic;
  }
  SECTION("the first of several keys is missing") {
    world.target.keyfile.clear();
    world.parts.environment.home = world.folder / "home";
    REQUIRE(std::system(("mkdir -p " + (world.folder / "home/.ssh") + " && cp " +
                         (world.folder / "key") + " " + (world.folder / "home/.ssh/id_rsa"))
                            .c_str()) == 0);
  }
  Recorder& stream = world.opened();
  world.echo(stream, "x");
  CHECK(world.disk.count() == 0);
}

TEST_CASE("ssh files: known hosts that are never read end it before it connects") {
  DiskWorld world;
  Recorder& stream = world.open();
  world.until_read();
  const Reason reason = world.late(stream);
  CHECK(reason.kind == Reason::Kind::timeout);
  CHECK(reason.stage == Stage::handshake);
  CHECK(reason.text == "other files kept us waiting for more than 10000 ms");
  CHECK(world.server.connections() == 0);
}

TEST_CASE("ssh files: a key that is never read ends the login") {
  DiskWorld world;
  Recorder& stream = world.open();
  world.let(1);
  const Reason reason = world.late(stream);
  CHECK(reason.kind == Reason::Kind::timeout);
  CHECK(reason.stage == Stage::login);
  CHECK_THAT(reason.text,
             Contains(": the key other files kept us waiting for more than 10000 ms; tried: "));
}

TEST_CASE("ssh files: a new host that is never recorded is refused") {
  DiskWorld world;
  write_file(world.target.known_hosts, "");
  world.target.known_hosts_verify = tunnel::KnownHostsVerify::automatic;
  Recorder& stream = world.open();
  world.let(1);
  const Reason reason = world.late(stream);
  CHECK(reason.kind == Reason::Kind::timeout);
  CHECK(reason.stage == Stage::handshake);
  CHECK_THAT(reason.text, Contains("the new host key cannot be recorded: "));
  CHECK_FALSE(stream.opened);
}

TEST_CASE("ssh files: a connection may end before its disk answers") {
  DiskWorld world;
  const int answers = GENERATE(0, 1);
  Recorder& stream = world.open();
  world.let(answers);
  stream.close();
  world.until([&] { return stream.closed(); });
  world.tunnel.reset();
  CHECK_FALSE(world.disk.waited_for());
  world.disk.let();
  CHECK_FALSE(stream.opened);
}

TEST_CASE("ssh files: a host without threads has too little left") {
  DiskWorld world;
  const int answers = GENERATE(0, 1);
  Recorder& stream = world.open();
  world.let(answers);
  world.disk.let(EAGAIN);
  world.until([&] { return stream.closed(); });
  CHECK(stream.reason->kind == Reason::Kind::exhausted);
  CHECK_THAT(stream.reason_text(), Contains("no thread to read"));
}

}  // namespace test
