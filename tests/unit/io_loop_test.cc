// The loop fires timers in order, runs each requested task once, hands signals to their handlers,
// and ends when nothing is left.
#include <array>
#include <csignal>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/loop_inside.h"

namespace test {
namespace {

using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Task;
using tunnel::io::Timer;

struct Count final : Task {
  explicit Count(Loop& of) : loop(of) {}
  void run_soon() override {
    ++runs;
    if (again-- > 0) loop.inside().soon(*this);
  }
  Loop& loop;
  int runs = 0;
  int again = 0;
};

TEST_CASE("the loop ends when nothing is left") {
  Loop loop;
  loop.run();
  int fired = 0;
  Timer timer(loop.clock(), [&] { ++fired; });
  timer.start(Milliseconds(5));
  const Milliseconds start = loop.clock().now();
  loop.run();
  CHECK(fired == 1);
  CHECK(loop.clock().now() - start >= Milliseconds(5));
}

TEST_CASE("the loop's clock fires timers in order, and the first to come decides") {
  Loop loop;
  std::string order;
  Timer late(loop.clock(), [&] { order += "late "; });
  Timer early(loop.clock(), [&] { order += "early "; });
  Timer chain(loop.clock(), [&] {
    order += "chain ";
    late.start(Milliseconds(1));
  });
  late.start(Milliseconds(100000));
  chain.start(Milliseconds(10));
  early.start(Milliseconds(2));
  loop.run();
  CHECK(order == "early chain late ");
}

TEST_CASE("a stopped loop can be run again") {
  Loop loop;
  int fired = 0;
  Timer timer(loop.clock(), [&] {
    ++fired;
    loop.stop();
  });
  Timer other(loop.clock(), [] {});
  other.start(Milliseconds(50));
  timer.start(Milliseconds(0));
  loop.run();
  CHECK(other.running());
  loop.run();
  CHECK(fired == 1);
  CHECK(!other.running());
}

TEST_CASE("a task runs once however often it is asked for, and again when it asks") {
  Loop loop;
  Count count(loop);
  loop.inside().soon(count);
  loop.inside().soon(count);
  loop.run();
  CHECK(count.runs == 1);
  count.again = 3;
  loop.inside().soon(count);
  loop.run();
  CHECK(count.runs == 5);
  {
    Count gone(loop);
    loop.inside().soon(gone);
  }
  loop.run();
}

TEST_CASE("a task that keeps asking does not keep timers from firing") {
  Loop loop;
  Count count(loop);
  count.again = 1 << 30;
  Timer timer(loop.clock(), [&] { count.again = 0; });
  timer.start(Milliseconds(5));
  loop.inside().soon(count);
  loop.run();
  CHECK(count.runs > 1);
}

TEST_CASE("signals reach their handlers, and do not keep the loop") {
  Loop loop;
  int caught = 0;
  loop.on_signal(SIGUSR1, [&] {
    ++caught;
    loop.stop();
  });
  loop.run();
  CHECK(caught == 0);
  REQUIRE(kill(getpid(), SIGUSR1) == 0);
  run_until(loop, [&] { return caught == 1; });
}

TEST_CASE("what is written in one turn leaves as one") {
  std::array<int, 2> fds{};
  // Such a socket keeps the bounds of each write.
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) == 0);
  Loop loop;
  Recorder writer(tunnel::io::adopt_fd(loop, fds[0]));
  writer.open();
  writer.write("one ");
  writer.write("two ");
  writer.at = [&](std::string_view event) {
    if (event == "open") writer.write("three");
  };
  run_until(loop, [&] { return writer.opened && writer.stream->queued() == 0; });
  Timer timer(loop.clock(), [&] {
    writer.write("four ");
    writer.write("five");
    CHECK(writer.stream->queued() == 9);
  });
  timer.start(Milliseconds(0));
  run_until(loop, [&] { return !timer.running() && writer.stream->queued() == 0; });
  std::array<char, 100> buffer{};
  CHECK(recv(fds[1], buffer.data(), buffer.size(), 0) == 13);
  CHECK(recv(fds[1], buffer.data(), buffer.size(), 0) == 9);
  close(fds[1]);
  writer.close();
  run_until(loop, [&] { return writer.closed(); });
}

// A report of a turn in which `work` was done, by a task of the loop or by a timer.
struct Measured {
  explicit Measured(const std::function<void()>& work) {
    loop.measure(kMost, [this](const tunnel::io::LongTurn& turn) { turns.push_back(turn); });
    // What comes before the loop has first looked for something to happen is not measured, and a
    // turn is reported when the next one begins.
    Timer empty(loop.clock(), [] {});
    empty.start(Milliseconds(1));
    loop.run();
    Timer timer(loop.clock(), work);
    timer.start(Milliseconds(1));
    loop.run();
    empty.start(Milliseconds(1));
    loop.run();
  }

  static constexpr Milliseconds kMost{100};
  Loop loop;
  std::vector<tunnel::io::LongTurn> turns;
};

TEST_CASE("a turn that works long is reported, with what took longest in it") {
  const Measured measured([] {
    const std::clock_t until = std::clock() + CLOCKS_PER_SEC / 2;
    while (std::clock() < until) {
    }
  });
  REQUIRE(measured.turns.size() == 1);
  CHECK(measured.turns[0].worked >= Measured::kMost);
  CHECK(measured.turns[0].longest_took >= Measured::kMost);
  CHECK(measured.turns[0].longest.find("test::") != std::string::npos);
}

TEST_CASE("a turn that waits for the system is reported, and one that has nothing to do is not") {
  const Measured measured([] {
    const timespec half_second{0, 500'000'000};
    nanosleep(&half_second, nullptr);
  });
  REQUIRE(measured.turns.size() == 1);
  CHECK(measured.turns[0].waited >= Measured::kMost);
  Loop loop;
  std::size_t reported = 0;
  loop.measure(Measured::kMost, [&](const tunnel::io::LongTurn&) { ++reported; });
  Timer timer(loop.clock(), [] {});
  timer.start(Milliseconds(500));
  loop.run();
  timer.start(Milliseconds(1));
  loop.run();
  CHECK(reported == 0);
}

}  // namespace
}  // namespace test
