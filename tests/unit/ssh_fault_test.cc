// Silence, an end or a flipped bit anywhere in the bytes of a real sshd is an error with a reason
// and never wrong data; the tunnel's clock is turned by hand.
#include "tests/unit/support/ssh_fault.h"

#include <csignal>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/memory_stream.h"
#include "tests/unit/support/ssh_server.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/stream_state.h"
#include "tunnel/ssh/tunnel.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Clock;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

struct FaultWorld : TurnedSshWorld {
  explicit FaultWorld(const std::string& options = {}) : TurnedSshWorld(options) {
    parts.connect = [this] {
      auto stream = std::make_unique<FaultyStream>(server.connect(), fault);
      return stream;
    };
  }
  ~FaultWorld() { finish(); }

  // Waits until the server has ended the command that each connection runs once.
  void calm() {
    until([&] {
      const std::string log = server.log();
      std::size_t ended = 0;
      for (std::size_t at = 0; (at = log.find("Close session: user", at)) != std::string::npos;) {
        ++at;
        ++ended;
      }
      return ended >= server.connections();
    });
    settle();
  }
  // Lets everything happen that happens without time passing for the tunnel.
  void settle() { run_for(loop, Milliseconds(300)); }
  void pass(Milliseconds time) {
    clock.advance(clock.now() + time);
    settle();
  }
  // Turns until the stream is open, or time is needed for it to close.
  void outcome(Recorder& stream) {
    const auto over = [&] { return stream.closed() || stream.data == "hello"; };
    std::size_t heard = 0;
    for (int i = 0; i < 100 && !over(); ++i) {
      run_for(loop, Milliseconds(20));
      if (stream.opened && !stream.closed() && heard++ == 0) stream.write("hello");
    }
    for (int i = 0; i < 8 && !over(); ++i) {
      clock.advance(clock.now() + Milliseconds(5000));
      run_for(loop, Milliseconds(20));
    }
    INFO("opened: " << stream.opened);
    REQUIRE((over() || stream.opened));
  }

  Fault fault;
};

}  // namespace

// Only says that it connects.
class NeverConnects final : public tunnel::io::Stream {
 public:
  explicit NeverConnects(tunnel::io::Clock& clock) : timer_(clock, [this] { state_.finish(); }) {}

  void open(tunnel::io::StreamOwner& owner) override {
    state_.open(owner);
    owner.on_stage(Stage::connect);
  }
  void write(base::Bytes) override {}
  [[nodiscard]] std::size_t queued() const override { return 0; }
  void end() override {}
  void pause(unsigned) override {}
  void resume(unsigned) override {}
  void close(Reason reason) override {
    if (state_.close(std::move(reason))) timer_.start(Milliseconds(0));
  }

 private:
  tunnel::io::StreamState state_;
  tunnel::io::Timer timer_;
};

TEST_CASE("ssh faults: the server's bytes in pieces of any size") {
  const auto piece = GENERATE(values<std::size_t>({1, 2, 3, 5, 7, 13, 64, 255, 1000}));
  FaultWorld world("RekeyLimit 16K\n");
  world.fault.piece = piece;
  Recorder& stream = world.opened();
  Recorder& other = world.opened();
  world.echo(stream, std::string(100'000, 'a'));
  world.echo(other, std::string(50'000, 'b'));
}

TEST_CASE("ssh faults: a server that falls silent, at every stage") {
  struct Row {
    std::size_t after;
    Stage stage;
    const char* text;
  };
  const auto row = GENERATE(values<Row>({
      {0, Stage::handshake, "took the connection and said nothing"},
      {10, Stage::handshake, "took the connection and said nothing"},
      {100, Stage::handshake, "did not finish the key exchange"},
      {800, Stage::handshake, "did not finish the key exchange"},
      {1600, Stage::login, "did not answer the ssh login as"},
  }));
  FaultWorld world;
  std::size_t heard = 0;
  world.fault.silent_after = row.after;
  world.fault.heard = &heard;
  Recorder& stream = world.open();
  world.until([&] { return heard > row.after; });
  world.settle();
  CHECK_FALSE(stream.closed());
  world.pass(world.target.timeouts.handshake - Milliseconds(1));
  CHECK_FALSE(stream.closed());
  world.pass(Milliseconds(1));
  REQUIRE(stream.closed());
  CHECK(stream.reason->kind == Reason::Kind::timeout);
  CHECK(stream.reason->stage == row.stage);
  CHECK_THAT(stream.reason_text(), Contains(row.text));
  world.fault = {};
  world.echo(world.opened(), "a new connection");
}

TEST_CASE("ssh faults: silence and ends anywhere are said with their stage") {
  const bool end = GENERATE(false, true);
  Stage last = Stage::look_up;
  int opened = 0;
  for (std::size_t offset = 0; offset < 3400; offset += 170) {
    FaultWorld world;
    (end ? world.fault.end_after : world.fault.silent_after) = offset;
    Recorder& stream = world.open();
    world.outcome(stream);
    if (stream.opened) {
      ++opened;
      continue;
    }
    REQUIRE(stream.closed());
    CAPTURE(offset, stream.reason_text());
    CHECK(stream.reason->kind == (end ? Reason::Kind::end : Reason::Kind::timeout));
    CHECK(stream.reason->stage >= last);
    CHECK_FALSE(stream.reason_text().empty());
    last = stream.reason->stage;
  }
  CHECK(opened > 0);
  CHECK(last >= Stage::login);
}

TEST_CASE("ssh faults: a flipped bit anywhere is a clean error") {
  const bool sent = GENERATE(false, true);
  int failed = 0;
  for (std::size_t offset = 0; offset < 3400; offset += 113) {
    FaultWorld world;
    (sent ? world.fault.flip_sent : world.fault.flip_received) = offset;
    Recorder& stream = world.open();
    world.outcome(stream);
    CAPTURE(offset, stream.reason_text());
    if (stream.closed()) {
      ++failed;
      CHECK_FALSE(stream.reason_text().empty());
      CHECK(stream.reason->kind != Reason::Kind::requested);
    } else {
      CHECK((stream.data.empty() || stream.data == "hello"));
    }
    world.fault = {};
    if (stream.closed()) world.echo(world.opened(), "a new connection");
  }
  CHECK(failed > 10);
}

TEST_CASE("ssh faults: a connection that nobody uses ends, kept alive until then") {
  FaultWorld world;
  Recorder& stream = world.opened();
  world.echo(stream, "x");
  world.calm();
  world.pass(Milliseconds(600'000));
  world.echo(stream, "still there");
  stream.close();
  world.settle();
  world.pass(Milliseconds(50'000));
  world.echo(world.opened(), "the same connection");
  CHECK(world.server.connections() == 1);
  world.streams.back()->close();
  world.calm();
  world.pass(Milliseconds(70'000));
  CHECK_THAT(world.server.log(), Contains("Received disconnect from"));
  world.echo(world.opened(), "another one");
  CHECK(world.server.connections() == 2);
}

TEST_CASE("ssh faults: a server that stops answering") {
  FaultWorld world;
  Recorder& busy = world.opened();
  Recorder& closing = world.opened();
  world.calm();
  world.server.signal_all(SIGSTOP);

  SECTION("leaves a close unanswered: the connection gets no new streams and goes on") {
    closing.close();
    world.until([&] { return closing.closed(); });
    world.pass(world.target.timeouts.channel);
    CHECK_THAT(world.noted(), Contains("left the close of a channel unanswered"));
    world.echo(world.opened(), "a new connection");
    CHECK(world.server.connections() == 2);
    world.server.signal_all(SIGCONT);
    world.echo(busy, "still there");
  }
  SECTION("leaves an open unanswered: another connection is made") {
    Recorder& next = world.open();
    world.settle();
    CHECK_FALSE(next.opened);
    world.pass(world.target.timeouts.channel);
    CHECK(busy.closed());
    CHECK(busy.reason->kind == Reason::Kind::timeout);
    world.echo(next, "a new connection");
    world.server.signal_all(SIGCONT);
  }
}

TEST_CASE("ssh faults: a server that does not come about") {
  FaultWorld world;
  SECTION("a lower stream that fails") {
    world.parts.connect = [&] {
      return tunnel::io::failed_stream(
          world.clock, {Reason::Kind::system, Stage::connect, "Connection refused"});
    };
    Recorder& stream = world.open();
    world.until([&] { return stream.closed(); });
    CHECK(stream.reason->kind == Reason::Kind::system);
    CHECK(stream.reason->stage == Stage::connect);
    CHECK(stream.reason_text() == "Connection refused");
  }
  SECTION("a lower stream that neither opens nor fails") {
    world.parts.connect = [&] {
      auto [near, far] = MemoryStream::pair(world.clock);
      near->hold_open();
      return std::move(near);
    };
    Recorder& stream = world.open();
    // A look-up may wait for its turn and then take its time.
    const auto& limits = world.target.timeouts;
    world.pass(3 * limits.look_up + Milliseconds(2000));
    REQUIRE(stream.closed());
    CHECK(stream.reason->kind == Reason::Kind::timeout);
  }
  SECTION("a lower stream that has its addresses and never connects") {
    world.parts.connect = [&] { return std::make_unique<NeverConnects>(world.clock); };
    Recorder& stream = world.open();
    world.pass(world.target.timeouts.connect + Milliseconds(2000));
    REQUIRE(stream.closed());
    CHECK(stream.reason->kind == Reason::Kind::timeout);
    CHECK(stream.reason->stage == Stage::connect);
  }
  SECTION("a server that greets without end") {
    struct Greeter final : tunnel::io::StreamOwner {
      void on_open() override {
        for (int i = 0; i < 30000; ++i) stream->write(base::bytes_of("be welcome\r\n"));
      }
      void on_data(base::Bytes) override {}
      void on_end() override {}
      void on_drain() override {}
      void on_closed(const Reason&) override { gone = true; }
      std::unique_ptr<MemoryStream> stream;
      bool gone = false;
    } greeter;
    world.parts.connect = [&] {
      auto [near, far] = MemoryStream::pair(world.clock);
      near->deliver_at_most(std::size_t{64} * 1024);
      greeter.stream = std::move(far);
      greeter.stream->open(greeter);
      return std::move(near);
    };
    Recorder& stream = world.open();
    world.until([&] { return stream.closed() && greeter.gone; });
    CHECK(stream.reason->kind == Reason::Kind::protocol);
    CHECK(stream.reason->stage == Stage::handshake);
    CHECK(stream.reason_text() == "the server sent more than 262144 bytes before the login");
  }
}

}  // namespace test
