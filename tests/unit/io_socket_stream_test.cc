// A socket stream delivers bytes in order both ways, holds them back while it is paused, and
// reports its close once, with the first reason.
#include <array>
#include <csignal>

#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/socket_stream.h"

namespace test {
namespace {

using tunnel::io::adopt_fd;
using tunnel::io::Loop;
using tunnel::io::Reason;
using tunnel::io::Stage;
using tunnel::io::Stream;

struct Pair {
  explicit Pair(Kind kind) : Pair(socket_pair(kind)) {}
  explicit Pair(std::pair<int, int> fds)
      : a(adopt_fd(loop, fds.first)), b(adopt_fd(loop, fds.second)) {
    std::signal(SIGPIPE, SIG_IGN);
    a.open();
    b.open();
  }
  ~Pair() {
    a.at = nullptr;
    b.at = nullptr;
    if (a.stream) a.close();
    if (b.stream) b.close();
    loop.run();
  }
  void until(const std::function<bool()>& done) { run_until(loop, done); }

  Loop loop;
  Recorder a;
  Recorder b;
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  unsigned state = 12345;
  for (char& c : text) {
    state = state * 1103515245 + 12345;
    c = static_cast<char>(state >> 16);
  }
  return text;
}

TEST_CASE("bytes go both ways, in order, also those written before the stream is open") {
  const Kind kind = GENERATE(Kind::unix, Kind::tcp);
  Pair pair(kind);
  pair.a.write("early ");
  CHECK(!pair.a.opened);
  pair.until([&] { return pair.a.opened && pair.b.opened; });
  CHECK(pair.a.stages == std::vector<Stage>{Stage::established});
  pair.a.write("late");
  pair.b.write("back");
  pair.until([&] { return pair.b.data == "early late" && pair.a.data == "back"; });
  CHECK(pair.a.stream->queued() == 0);
}

TEST_CASE("an end is passed on after what was written, and the other direction stays open") {
  const Kind kind = GENERATE(Kind::unix, Kind::tcp);
  Pair pair(kind);
  const std::string large = pattern(3'000'000);
  pair.a.write(large);
  pair.a.stream->end();
  pair.a.write("not sent");
  pair.until([&] { return pair.b.ended; });
  CHECK(pair.b.data == large);
  CHECK(!pair.a.closed());
  pair.b.write("still here");
  pair.b.stream->end();
  pair.until([&] { return pair.a.ended; });
  CHECK(pair.a.data == "still here");
}

TEST_CASE("a close is heard once, from the loop, with the first reason") {
  Pair pair(Kind::unix);
  pair.until([&] { return pair.a.opened && pair.b.opened; });
  pair.a.stream->close({Reason::Kind::protocol, Stage::handshake, "first"});
  pair.a.stream->close({Reason::Kind::system, Stage::open, "second"});
  pair.a.write("nothing happens");
  pair.a.stream->end();
  CHECK(!pair.a.closed());
  pair.until([&] { return pair.a.closed() && pair.b.ended; });
  CHECK(pair.a.reason->kind == Reason::Kind::protocol);
  CHECK(pair.a.reason->stage == Stage::handshake);
  CHECK(pair.a.reason->text == "first");
  CHECK(pair.b.data.empty());
}

TEST_CASE("a stream may be closed before it is opened, and destroyed when it never was") {
  const auto fds = socket_pair(Kind::unix);
  Loop loop;
  {
    const auto unopened = adopt_fd(loop, fds.first);
    unopened->close({});
  }
  CHECK(read_all(fds.second).empty());
  Recorder b(adopt_fd(loop, fds.second));
  b.stream->close({Reason::Kind::refused, Stage::connect, "before"});
  b.open();
  CHECK(!b.closed());
  loop.run();
  CHECK(!b.opened);
  CHECK(b.reason_text() == "before");
}

TEST_CASE("what was written right before an orderly close is offered to the system") {
  Pair pair(Kind::unix);
  pair.until([&] { return pair.a.opened && pair.b.opened; });
  pair.a.write("last words");
  pair.a.close();
  pair.until([&] { return pair.b.ended; });
  CHECK(pair.b.data == "last words");
}

TEST_CASE("a stream may be closed in each of its calls") {
  const Kind kind = GENERATE(Kind::unix, Kind::tcp);
  const std::string event = GENERATE("stage", "open", "data", "end", "drain");
  Pair pair(kind);
  pair.a.at = [&](std::string_view now) {
    if (now != event) return;
    pair.a.close();
    CHECK(!pair.a.closed());
  };
  pair.b.write("data");
  if (event == "end") pair.b.stream->end();
  if (event == "drain") pair.a.write(pattern(2 * Stream::kHighMark));
  pair.until([&] { return pair.a.closed(); });
  CHECK(pair.a.reason->kind == Reason::Kind::requested);
  CHECK(pair.a.opened == (event != "stage"));
  CHECK(pair.a.drained == (event == "drain" ? 1 : 0));
  pair.until([&] { return pair.b.ended || pair.b.closed(); });
}

TEST_CASE("nothing is delivered while any reason to pause is set") {
  const Kind kind = GENERATE(Kind::unix, Kind::tcp);
  Pair pair(kind);
  pair.a.stream->pause(1);
  pair.b.write("data");
  pair.b.stream->end();
  run_for(pair.loop, tunnel::io::Milliseconds(20));
  CHECK(pair.a.opened);
  CHECK(pair.a.data.empty());
  pair.a.stream->pause(2 | 4);
  pair.a.stream->resume(1);
  pair.a.stream->resume(2);
  run_for(pair.loop, tunnel::io::Milliseconds(20));
  CHECK(pair.a.data.empty());
  CHECK(!pair.a.ended);
  pair.a.stream->resume(4);
  pair.until([&] { return pair.a.ended; });
  CHECK(pair.a.data == "data");
}

TEST_CASE("a pause inside on_data() holds back the rest") {
  Pair pair(Kind::unix);
  pair.b.write(pattern(200'000));
  pair.a.at = [&](std::string_view event) {
    if (event == "data") pair.a.stream->pause(1);
  };
  pair.until([&] { return !pair.a.data.empty(); });
  const std::size_t first = pair.a.data.size();
  run_for(pair.loop, tunnel::io::Milliseconds(20));
  CHECK(pair.a.data.size() == first);
  pair.a.at = nullptr;
  pair.a.stream->resume(1);
  pair.until([&] { return pair.a.data.size() == 200'000; });
  CHECK(pair.a.data == pattern(200'000));
}

TEST_CASE("32 MiB arrive whole, in one write and in many") {
  const Kind kind = GENERATE(Kind::unix, Kind::tcp);
  const std::size_t piece = GENERATE(std::size_t{32} << 20, std::size_t{1} << 10);
  Pair pair(kind);
  const std::string all = pattern(std::size_t{32} << 20);
  for (std::size_t at = 0; at < all.size(); at += piece) pair.a.write(all.substr(at, piece));
  CHECK(pair.a.stream->queued() == all.size());
  pair.until([&] { return pair.b.data.size() == all.size(); });
  CHECK(pair.b.data == all);
  CHECK(pair.a.drained == 1);
  CHECK(pair.a.stream->queued() == 0);
}

TEST_CASE("bytes that are kept elsewhere arrive between those that were copied") {
  Pair pair(GENERATE(Kind::unix, Kind::tcp));
  const std::string large = pattern(std::size_t{4} << 20);
  auto kept = std::make_shared<const std::string>(large);
  const std::weak_ptr<const std::string> watched = kept;
  const base::Bytes bytes = base::bytes_of(*kept);
  pair.a.write("head");
  pair.a.stream->write_kept(bytes, kept);
  pair.a.write("between");
  pair.a.stream->write_kept(bytes, kept);
  kept.reset();
  pair.a.write("tail");
  const std::string all = "head" + large + "between" + large + "tail";
  CHECK(pair.a.stream->queued() == all.size());
  pair.until([&] { return pair.b.data.size() >= all.size() && pair.a.stream->queued() == 0; });
  CHECK(pair.b.data == all);
  CHECK(watched.expired());
}

TEST_CASE("what is kept elsewhere counts until it is let go") {
  Pair pair(GENERATE(Kind::unix, Kind::tcp));
  constexpr std::size_t kSize = std::size_t{16} << 20;
  auto kept = std::make_shared<const std::string>(pattern(kSize));
  const std::weak_ptr<const std::string> watched = kept;
  pair.a.stream->write_kept(base::bytes_of(*kept), kept);
  kept.reset();
  pair.b.at = [&](std::string_view) {
    if (pair.b.data.size() > kSize / 4) pair.b.stream->pause(1);
  };
  pair.until([&] { return pair.b.data.size() > kSize / 4; });
  run_for(pair.loop, tunnel::io::Milliseconds(20));
  CHECK_FALSE(watched.expired());
  CHECK(pair.a.stream->queued() == kSize);
  pair.b.at = nullptr;
  pair.b.stream->resume(1);
  pair.until([&] { return pair.b.data.size() == kSize && pair.a.stream->queued() == 0; });
  CHECK(watched.expired());
}

TEST_CASE("a writer that heeds the marks stays bounded before a slow reader") {
  const auto fds = socket_pair(GENERATE(Kind::unix, Kind::tcp));
  // Else the system might take everything.
  const int little = 64 * 1024;
  for (const int fd : {fds.first, fds.second}) {
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0);
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) == 0);
  }
  Pair pair(fds);
  const std::string piece = pattern(10'000);
  std::size_t written = 0;
  std::size_t most = 0;
  const auto fill = [&] {
    while (written < 8'000'000 && pair.a.stream->queued() <= Stream::kHighMark) {
      pair.a.write(piece);
      written += piece.size();
      most = std::max(most, pair.a.stream->queued());
    }
  };
  pair.a.at = [&](std::string_view event) {
    if (event == "open" || event == "drain") fill();
  };
  pair.b.stream->pause(1);
  pair.until([&] { return pair.a.opened; });
  run_for(pair.loop, tunnel::io::Milliseconds(20));
  CHECK(written < 8'000'000);
  CHECK(pair.a.stream->queued() > Stream::kLowMark);
  pair.b.stream->resume(1);
  pair.b.at = [&](std::string_view event) {
    if (event == "data") pair.b.stream->pause(1);
    pair.b.stream->resume(1);
  };
  pair.until([&] { return pair.b.data.size() == 8'000'000; });
  CHECK(most <= Stream::kHighMark + piece.size());
  CHECK(pair.a.drained > 1);
}

TEST_CASE("a peer that went is named in the system's words, and what it sent before is delivered") {
  const auto fds = socket_pair(Kind::unix);
  Loop loop;
  std::signal(SIGPIPE, SIG_IGN);
  Recorder a(adopt_fd(loop, fds.first));
  a.open();
  run_until(loop, [&] { return a.opened; });
  REQUIRE(send(fds.second, "why", 3, 0) == 3);
  REQUIRE(shutdown(fds.second, SHUT_RD) == 0);
  a.write("into the void");
  run_until(loop, [&] { return a.closed(); });
  CHECK(a.data == "why");
  CHECK(a.reason->kind == Reason::Kind::system);
  CHECK(a.reason->stage == Stage::established);
  CHECK(a.reason_text() == "Broken pipe");
  close(fds.second);
}

TEST_CASE("a reset is told as such") {
  const auto fds = socket_pair(Kind::tcp);
  Loop loop;
  Recorder a(adopt_fd(loop, fds.first));
  a.open();
  run_until(loop, [&] { return a.opened; });
  const linger now{1, 0};
  setsockopt(fds.second, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fds.second);
  run_until(loop, [&] { return a.closed(); });
  CHECK(!a.ended);
  CHECK(a.reason_text() == "Connection reset by peer");
}

TEST_CASE("a write to a peer that closed with nothing read ends the stream, paused or not") {
  const bool paused = GENERATE(false, true);
  const auto fds = socket_pair(Kind::unix);
  Loop loop;
  std::signal(SIGPIPE, SIG_IGN);
  Recorder a(adopt_fd(loop, fds.first));
  a.open();
  if (paused) a.stream->pause(1);
  a.write(pattern(1'000'000));
  run_until(loop, [&] { return a.opened; });
  close(fds.second);
  run_until(loop, [&] { return a.closed() || a.ended; });
  if (a.stream) {
    a.write("more");
    run_until(loop, [&] { return a.closed(); });
  }
  CHECK(a.reason->kind == Reason::Kind::system);
}

TEST_CASE("a descriptor that is no stream fails to open") {
  TemporaryFolder folder;
  Loop loop;
  Recorder a(adopt_fd(loop, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  a.open();
  run_until(loop, [&] { return a.closed() || a.opened; });
  if (a.stream) {
    a.write("x");
    run_until(loop, [&] { return a.closed(); });
  }
  CHECK(a.reason->kind == Reason::Kind::system);
  Recorder none(adopt_fd(loop, -1));
  none.open();
  run_until(loop, [&] { return none.closed(); });
  CHECK(none.reason_text() == "Bad file descriptor");
}

TEST_CASE("a failed stream closes with its reason, from the clock") {
  Loop loop;
  Recorder a(tunnel::io::failed_stream(loop.clock(),
                                       {Reason::Kind::refused, Stage::look_up, "not this one"}));
  a.write("ignored");
  a.open();
  a.close();
  CHECK(!a.closed());
  loop.run();
  CHECK(a.reason->kind == Reason::Kind::refused);
  CHECK(a.reason->stage == Stage::look_up);
  CHECK(a.reason_text() == "not this one");
}

TEST_CASE("an idle stream is small") { CHECK(sizeof(tunnel::io::SocketStream) <= 448); }

// Closes one end at its k-th event, for every k until the scenario gets through undisturbed.
TEST_CASE("a close at any step leaves nothing behind") {
  const Kind kind = GENERATE(Kind::unix, Kind::tcp);
  bool through = false;
  for (int k = 0; !through; ++k) {
    REQUIRE(k < 1000);
    Pair pair(kind);
    int step = 0;
    pair.a.at = [&](std::string_view event) {
      if (event != "closed" && step++ == k) pair.a.close();
    };
    pair.b.at = [&](std::string_view event) {
      if (event == "end") pair.b.stream->end();
    };
    pair.b.write(pattern(150'000));
    pair.a.write(pattern(600'000));
    pair.a.stream->end();
    pair.until([&] { return pair.a.closed() || pair.a.ended; });
    through = !pair.a.closed() && step <= k;
  }
}

}  // namespace
}  // namespace test
