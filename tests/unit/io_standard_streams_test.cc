// Standard input and output serve as one stream whatever kind of file they are, and other users of
// the same open files find them unchanged.
#include <array>
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/standard_streams.h"

namespace test {
namespace {

using tunnel::io::join_fds;
using tunnel::io::Loop;
using tunnel::io::Reason;
using tunnel::io::Stream;

struct Pipe {
  Pipe() { REQUIRE(pipe2(fds.data(), O_CLOEXEC) == 0); }
  std::array<int, 2> fds{};
};

// Two pipes, or one socket that is both ends, as a bridge gets them; what is on their other side is
// ours.
struct Ends {
  int in = -1;
  int out = -1;
  int to_in = -1;
  int from_out = -1;
};

Ends pipes() {
  const Pipe in;
  const Pipe out;
  return {in.fds[0], out.fds[1], in.fds[1], out.fds[0]};
}

Ends sockets(Kind kind) {
  const auto [near, far] = socket_pair(kind);
  return {near, fcntl(near, F_DUPFD_CLOEXEC, 0), far, fcntl(far, F_DUPFD_CLOEXEC, 0)};
}

struct Joined {
  explicit Joined(const Ends& of) : ends(of), stream(join_fds(loop, of.in, of.out)) {
    std::signal(SIGPIPE, SIG_IGN);
    stream.open();
  }
  ~Joined() {
    stream.at = nullptr;
    if (stream.stream) stream.close();
    loop.run();
    close_in();
    close_out();
  }
  void until(const std::function<bool()>& done) { run_until(loop, done); }
  void close_in() { ::close(std::exchange(ends.to_in, -1)); }
  void close_out() { ::close(std::exchange(ends.from_out, -1)); }
  void say(std::string_view text) const {
    REQUIRE(::write(ends.to_in, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }

  Ends ends;
  Loop loop;
  Recorder stream;
};

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int open_file(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  return fd;
}

TEST_CASE("bytes go in and out of standard streams of every kind", "[standard_streams]") {
  const int kind = GENERATE(0, 1, 2);
  Joined joined(kind == 0 ? pipes() : sockets(kind == 1 ? Kind::unix : Kind::tcp));
  joined.stream.write("early ");
  joined.say("hello");
  joined.until([&] { return joined.stream.data == "hello"; });
  joined.stream.write("late");
  joined.until([&] { return joined.stream.stream->queued() == 0; });
  joined.stream.stream->end();
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason->kind == Reason::Kind::end);
  CHECK(read_all(joined.ends.from_out) == "early late");
}

TEST_CASE("the end of standard input leaves standard output open", "[standard_streams]") {
  Joined joined(pipes());
  joined.say("last");
  joined.close_in();
  joined.until([&] { return joined.stream.ended; });
  CHECK(joined.stream.data == "last");
  joined.stream.write("answer");
  joined.stream.stream->end();
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason->kind == Reason::Kind::end);
  CHECK(read_all(joined.ends.from_out) == "answer");
}

TEST_CASE("a reader of standard output that has gone is noticed without a write",
          "[standard_streams]") {
  Joined joined(pipes());
  joined.until([&] { return joined.stream.opened; });
  joined.close_out();
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason->kind == Reason::Kind::system);
  CHECK(joined.stream.reason_text() == "Broken pipe");
}

TEST_CASE("writing to a socket that has gone fails", "[standard_streams]") {
  Joined joined(sockets(Kind::unix));
  joined.until([&] { return joined.stream.opened; });
  joined.stream.stream->pause(1);
  joined.close_in();
  joined.close_out();
  joined.stream.write("nobody reads this");
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason->kind == Reason::Kind::system);
}

TEST_CASE("what standard output does not take waits, and is told", "[standard_streams]") {
  Joined joined(pipes());
  joined.until([&] { return joined.stream.opened; });
  const std::string large(Stream::kHighMark * 4, 'x');
  joined.stream.write(large);
  run_for(joined.loop, tunnel::io::Milliseconds(20));
  CHECK(joined.stream.stream->queued() > Stream::kHighMark);
  CHECK(joined.stream.drained == 0);
  std::string got;
  std::array<char, 65536> buffer{};
  joined.until([&] {
    if (got.size() < large.size()) {
      const ssize_t n = ::read(joined.ends.from_out, buffer.data(), buffer.size());
      if (n > 0) got.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return joined.stream.drained == 1;
  });
  CHECK(got == large);
}

TEST_CASE("paused standard input is not read", "[standard_streams]") {
  const TemporaryFolder folder;
  folder.write("in", "from a file");
  const bool file = GENERATE(false, true);
  Ends ends = pipes();
  if (file) {
    ::close(ends.in);
    ends.in = open_file(folder.path() + "/in", O_RDONLY);
  }
  Joined joined(ends);
  joined.stream.stream->pause(2);
  if (!file) joined.say("from a pipe");
  run_for(joined.loop, tunnel::io::Milliseconds(20));
  CHECK(joined.stream.opened);
  CHECK(joined.stream.data.empty());
  joined.stream.at = [&](std::string_view event) {
    if (event == "data") joined.stream.stream->pause(2);
  };
  joined.stream.stream->resume(2);
  joined.until([&] { return !joined.stream.data.empty(); });
  if (!file) joined.close_in();
  run_for(joined.loop, tunnel::io::Milliseconds(20));
  CHECK_FALSE(joined.stream.ended);
  joined.stream.stream->resume(2);
  joined.until([&] { return joined.stream.ended; });
  CHECK(joined.stream.data == (file ? "from a file" : "from a pipe"));
}

TEST_CASE("files serve as standard streams", "[standard_streams]") {
  const TemporaryFolder folder;
  const std::string large(300'000, 'y');
  folder.write("in", large);
  Joined joined({open_file(folder.path() + "/in", O_RDONLY),
                 open_file(folder.path() + "/out", O_WRONLY | O_CREAT), -1, -1});
  joined.until([&] { return joined.stream.ended; });
  CHECK(joined.stream.data == large);
  joined.stream.write(large);
  joined.stream.write("end");
  joined.stream.stream->end();
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason->kind == Reason::Kind::end);
  CHECK(text_of_file(folder.path() + "/out") == large + "end");
}

TEST_CASE("devices of the kernel's memory serve as standard streams", "[standard_streams]") {
  Joined joined({open_file("/dev/null", O_RDONLY), open_file("/dev/full", O_WRONLY), -1, -1});
  joined.until([&] { return joined.stream.ended; });
  joined.stream.write("does not fit");
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason_text() == "No space left on device");
}

TEST_CASE("standard streams close at every moment, once", "[standard_streams]") {
  const std::string when = GENERATE("before", "open", "data", "end", "write");
  const bool file = GENERATE(false, true);
  Ends ends = pipes();
  if (file) {
    ::close(ends.in);
    ::close(ends.out);
    ends.in = open_file("/dev/zero", O_RDONLY);
    ends.out = open_file("/dev/null", O_WRONLY);
  }
  Joined joined(ends);
  const auto close = [&] {
    if (!joined.stream.stream) return;
    joined.stream.stream->close({Reason::Kind::refused, tunnel::io::Stage::open, "first"});
    joined.stream.stream->close({Reason::Kind::system, tunnel::io::Stage::open, "second"});
    CHECK_FALSE(joined.stream.closed());
  };
  joined.stream.at = [&](std::string_view event) {
    if (event == when && event != "closed") close();
  };
  if (when == "before") close();
  if (!file) joined.say("data");
  joined.close_in();
  joined.until([&] { return joined.stream.opened || joined.stream.closed(); });
  if (joined.stream.stream) joined.stream.write(std::string(100'000, 'z'));
  if (when == "write") close();
  if (file && when == "end") close();
  joined.until([&] { return joined.stream.closed(); });
  CHECK(joined.stream.reason_text() == "first");
}

TEST_CASE("a stream that is never opened closes its descriptors", "[standard_streams]") {
  const Ends ends = pipes();
  Loop loop;
  join_fds(loop, ends.in, ends.out).reset();
  CHECK(read_all(ends.from_out).empty());
  CHECK(fcntl(ends.in, F_GETFD) == -1);
  ::close(ends.to_in);
  ::close(ends.from_out);
}

TEST_CASE("others that share the open files find them as they were", "[standard_streams]") {
  const Ends ends = GENERATE(false, true) ? pipes() : sockets(Kind::unix);
  const int in = fcntl(ends.in, F_DUPFD_CLOEXEC, 0);
  const int out = fcntl(ends.out, F_DUPFD_CLOEXEC, 0);
  {
    Joined joined(ends);
    joined.until([&] { return joined.stream.opened; });
  }
  CHECK((fcntl(in, F_GETFL) & O_NONBLOCK) == 0);
  CHECK((fcntl(out, F_GETFL) & O_NONBLOCK) == 0);
  ::close(in);
  ::close(out);
}

// Runs in a child, which has standard streams of its own; the result is its exit code.
int in_child(const std::function<int()>& what) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(what());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("standard streams are taken from the process", "[standard_streams]") {
  const Ends ends = pipes();
  const int code = in_child([&] {
    dup2(ends.in, 0);
    dup2(ends.out, 1);
    const auto taken = tunnel::io::take_standard_streams();
    if (!taken || taken->in < 3 || taken->out < 3) return 1;
    const bool harmless = write(1, "stray", 5) == 5;
    char byte = 0;
    if (!harmless || read(0, &byte, 1) != 0) return 2;
    return write(taken->out, "meant", 5) == 5 ? 0 : 3;
  });
  CHECK(code == 0);
  ::close(ends.out);
  CHECK(read_all(ends.from_out) == "meant");
  for (const int fd : {ends.in, ends.to_in, ends.from_out}) ::close(fd);
}

TEST_CASE("what cannot be a standard stream is told", "[standard_streams]") {
  const auto refused = [](int at, int fd, const std::string& part, bool terminal = false) {
    return in_child([&] {
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 0);
      dup2(null, 1);
      if (fd >= 0) {
        dup2(fd, at);
      } else {
        ::close(at);
      }
      const auto taken = tunnel::io::take_standard_streams();
      if (taken) return 1;
      if (taken.error().terminal != terminal) return 2;
      return taken.error().text.find(part) != std::string::npos ? 0 : 3;
    });
  };
  CHECK(refused(0, -1, "standard input: Bad file descriptor") == 0);
  CHECK(refused(1, -1, "standard output: Bad file descriptor") == 0);
  CHECK(refused(0, open_file("/", O_RDONLY | O_DIRECTORY), "standard input is neither") == 0);
  const int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(refused(1, datagrams, "standard output is neither") == 0);
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(terminal >= 0);
  CHECK(refused(0, terminal, "standard input is a terminal", true) == 0);
  ::close(datagrams);
  ::close(terminal);
}

TEST_CASE("a closed standard error is not taken for the next descriptor", "[standard_streams]") {
  CHECK(in_child([] {
          const int null = open("/dev/null", O_RDWR);
          dup2(null, 0);
          dup2(null, 1);
          ::close(2);
          const auto taken = tunnel::io::take_standard_streams();
          return taken && taken->in > 2 && taken->out > 2 && fcntl(2, F_GETFD) >= 0 ? 0 : 1;
        }) == 0);
}

}  // namespace
}  // namespace test
