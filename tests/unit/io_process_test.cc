// A child's standard streams carry bytes both ways, its exit status and last words become the
// reason, and closing the stream ends the child.
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/io/lines.h"
#include "tunnel/io/process.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Clock;
using tunnel::io::Command;
using tunnel::io::Lines;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::run_process;
using tunnel::io::Stage;

Command shell(const std::string& script) {
  Command command;
  command.arguments = {"/bin/sh", "-c", script};
  return command;
}

struct Child {
  explicit Child(Command command) : recorder(run_process(loop, with_lines(std::move(command)))) {
    std::signal(SIGPIPE, SIG_IGN);
    recorder.open();
  }
  ~Child() {
    recorder.at = nullptr;
    if (recorder.stream) recorder.close();
    loop.run();
  }
  Command with_lines(Command command) {
    command.on_line = [this](std::string_view line) { lines.emplace_back(line); };
    return command;
  }
  void until(const std::function<bool()>& done) { run_until(loop, done); }
  void until_closed() {
    until([&] { return recorder.closed(); });
  }

  Loop loop;
  std::vector<std::string> lines;
  Recorder recorder;
};

bool nobody_left() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST_CASE("a child's standard streams are the stream") {
  Command cat;
  cat.arguments = {"/bin/cat"};
  Child child(std::move(cat));
  const std::string large(3'000'000, 'x');
  child.recorder.write("early ");
  child.until([&] { return child.recorder.opened; });
  child.recorder.write(large);
  child.until([&] { return child.recorder.data.size() == 6 + large.size(); });
  CHECK(child.recorder.stages == std::vector<Stage>{Stage::connect, Stage::established});
  child.recorder.stream->end();
  child.until_closed();
  CHECK(child.recorder.data == "early " + large);
  CHECK(child.recorder.reason->kind == Reason::Kind::end);
  CHECK(child.recorder.reason->stage == Stage::established);
  CHECK(child.recorder.reason_text() == "cat ended");
  CHECK(nobody_left());
}

TEST_CASE("a child's exit status and last words are the reason") {
  Child child(shell("echo first >&2; echo; printf 'Permission denied' >&2; exit 255"));
  child.until_closed();
  CHECK(child.recorder.reason->kind == Reason::Kind::system);
  CHECK(child.recorder.reason->stage == Stage::established);
  CHECK(child.recorder.data == "\n");
  CHECK(child.recorder.reason_text() == "sh ended with exit status 255: Permission denied");
  CHECK(child.lines == std::vector<std::string>{"first", "Permission denied"});
  CHECK(nobody_left());
}

TEST_CASE("a child that says nothing has not been reached") {
  Child child(shell("exit 3"));
  child.until_closed();
  CHECK(child.recorder.reason->stage == Stage::connect);
  CHECK(child.recorder.reason_text() == "sh ended with exit status 3");
}

TEST_CASE("a child that a signal ended says which") {
  Child child(shell("kill -9 $$"));
  child.until_closed();
  CHECK(child.recorder.reason_text() == "sh was ended by signal 9 (Killed)");
}

TEST_CASE("all that a child wrote is delivered before its end, also to a slow reader") {
  Child child(shell("head -c 2000000 /dev/zero"));
  child.recorder.stream->pause(1);
  run_for(child.loop, Milliseconds(30));
  CHECK(child.recorder.data.empty());
  CHECK(!child.recorder.closed());
  child.recorder.stream->resume(1);
  child.until_closed();
  CHECK(child.recorder.data.size() == 2'000'000);
}

TEST_CASE("a program that cannot be run is said to be so") {
  const TemporaryFolder folder;
  std::ofstream(folder / "text") << "no program";
  const std::string program = GENERATE("/nonexistent/program", "no-such-program-anywhere");
  Command command;
  command.arguments = {program};
  Child child(std::move(command));
  child.until_closed();
  CHECK(!child.recorder.opened);
  CHECK(child.recorder.reason->stage == Stage::connect);
  CHECK(child.recorder.reason_text() == "cannot run " + program + ": No such file or directory");

  Command text;
  text.arguments = {folder / "text"};
  Child other(std::move(text));
  other.until_closed();
  CHECK_THAT(other.recorder.reason_text(), Contains("Permission denied"));
  Child none{Command{}};
  none.until_closed();
  CHECK_THAT(none.recorder.reason_text(), Contains("cannot run nothing"));
}

TEST_CASE("arguments are not read by a shell, and only the given environment is there") {
  Command command;
  command.arguments = {"/usr/bin/printf", "%s", "$HOME; `id` *"};
  Child child(std::move(command));
  child.until_closed();
  CHECK(child.recorder.data == "$HOME; `id` *");
  Command env;
  env.arguments = {"env"};
  env.environment = {"PATH=/usr/bin:/bin", "A=b c"};
  Child other(std::move(env));
  other.until_closed();
  CHECK(other.recorder.data == "PATH=/usr/bin:/bin\nA=b c\n");
  REQUIRE(setenv("VIRTGATE_UNIT", "set", 1) == 0);
  CHECK(tunnel::io::own_environment({"VIRTGATE_UNIT", "VIRTGATE_UNIT_NOT"}) ==
        std::vector<std::string>{"VIRTGATE_UNIT=set"});
}

TEST_CASE("a child has no other descriptor, and default signals") {
  // What this program got from its own parent does not count.
  int inherited = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) ++inherited;
  }
  Child child(shell("ls /proc/self/fd | wc -w; grep SigIgn /proc/self/status"));
  child.until_closed();
  // ls has the folder open.
  CHECK(child.recorder.data.starts_with(std::to_string(inherited + 4) + "\n"));
  // Signals 32 and 33 are the C library's own: no program may set them, so one that got them
  // ignored passes that on.
  constexpr std::uint64_t kOfTheLibrary = 0x1'8000'0000;
  const std::size_t ignored = child.recorder.data.find("SigIgn:\t");
  REQUIRE(ignored != std::string::npos);
  CHECK((std::stoull(child.recorder.data.substr(ignored + 8), nullptr, 16) & ~kOfTheLibrary) == 0);
}

TEST_CASE("closing the stream ends the child") {
  Command command = shell("echo ready; exec sleep 1000");
  command.new_session = GENERATE(false, true);
  Child child(std::move(command));
  child.until([&] { return child.recorder.data == "ready\n"; });
  child.recorder.close();
  CHECK(!child.recorder.closed());
  child.until_closed();
  CHECK(child.recorder.reason->kind == Reason::Kind::requested);
  CHECK(nobody_left());
}

TEST_CASE("a child that ignores SIGTERM gets SIGKILL") {
  Command command = shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
  command.patience = Milliseconds(30);
  command.new_session = true;
  Child child(std::move(command));
  child.until([&] { return child.recorder.data == "ready\n"; });
  child.recorder.close();
  child.until_closed();
  CHECK(nobody_left());
}

TEST_CASE("a session of its own ends with its children") {
  const TemporaryFolder folder;
  Command command = shell("sleep 1000 & echo $!; wait");
  command.new_session = true;
  Child child(std::move(command));
  child.until([&] { return child.recorder.data.ends_with('\n'); });
  const auto grandchild = static_cast<pid_t>(std::strtol(child.recorder.data.c_str(), nullptr, 10));
  REQUIRE(grandchild > 0);
  child.recorder.close();
  child.until_closed();
  child.until([&] {
    std::ifstream status("/proc/" + std::to_string(grandchild) + "/stat");
    std::string line;
    return !std::getline(status, line) || line.find(") Z ") != std::string::npos;
  });
}

TEST_CASE("a child that closes its output and stays is at its end, and ends later") {
  Child child(shell("echo last; exec <&- >&-; sleep 1.3; exit 5"));
  child.until([&] { return child.recorder.ended; });
  CHECK(child.recorder.data == "last\n");
  CHECK(!child.recorder.closed());
  child.until_closed();
  CHECK(child.recorder.reason_text() == "sh ended with exit status 5");
}

TEST_CASE("somebody who keeps the standard error open does not keep the stream") {
  Command command = shell("sleep 1000 </dev/null >/dev/null & echo $! >&2; exit 4");
  Child child(std::move(command));
  child.until_closed();
  CHECK_THAT(child.recorder.reason_text(), Contains("sh ended with exit status 4: "));
  REQUIRE(child.lines.size() == 1);
  kill(static_cast<pid_t>(std::strtol(child.lines[0].c_str(), nullptr, 10)), SIGKILL);
}

TEST_CASE("a stream whose child was never started is closed and destroyed like any other") {
  Loop loop;
  { const auto unopened = run_process(loop, shell("exit 0")); }
  Recorder recorder(run_process(loop, shell("exit 0")));
  recorder.stream->close({Reason::Kind::refused, Stage::connect, "before"});
  recorder.open();
  CHECK(!recorder.closed());
  loop.run();
  CHECK(recorder.reason_text() == "before");
}

// Closes the stream at its k-th event or turn, for every k until the child has ended by itself.
TEST_CASE("a close at any step of a child's life leaves nothing behind") {
  bool through = false;
  for (int k = 0; !through; ++k) {
    REQUIRE(k < 2000);
    Child child(shell("echo one; echo two >&2; read line; echo $line; exit 1"));
    int step = 0;
    const auto count = [&] {
      if (step++ == k && child.recorder.stream) child.recorder.close();
    };
    child.recorder.at = [&](std::string_view event) {
      if (event != "closed") count();
    };
    child.recorder.write("three\n");
    tunnel::io::Timer turn(child.loop.clock(), [&] {
      count();
      turn.start(Milliseconds(1));
    });
    turn.start(Milliseconds(0));
    child.until_closed();
    turn.stop();
    through = child.recorder.reason->kind != Reason::Kind::requested;
    if (through) CHECK(child.recorder.data == "one\nthree\n");
    CHECK(nobody_left());
  }
}

struct Cut {
  Cut() : lines(clock, [this](std::string_view line) { got.emplace_back(line); }) {}
  void feed(std::string_view text) { lines.feed(base::bytes_of(text)); }
  Clock clock;
  std::vector<std::string> got;
  Lines lines;
};

TEST_CASE("lines come out whole at every split") {
  const std::string text = "one\r\n\n two \nthree";
  for (std::size_t at = 0; at <= text.size(); ++at) {
    Cut cut;
    cut.feed(std::string_view(text).substr(0, at));
    cut.feed(std::string_view(text).substr(at));
    CHECK(cut.got == std::vector<std::string>{"one", " two "});
    cut.lines.finish();
    CHECK(cut.got == std::vector<std::string>{"one", " two ", "three"});
    CHECK(cut.lines.last() == "three");
  }
}

TEST_CASE("a long line is cut and the next one is whole") {
  Cut cut;
  for (int i = 0; i < 100; ++i) cut.feed(std::string(1000, 'x'));
  cut.feed("\nnext\n");
  REQUIRE(cut.got.size() == 2);
  CHECK(cut.got[0] == std::string(Lines::kMaxLength, 'x'));
  CHECK(cut.got[1] == "next");
  cut.lines.finish();
}

TEST_CASE("a flood of lines is cut, and said to be") {
  Cut cut;
  for (int i = 0; i < 150; ++i) cut.feed(std::to_string(i) + "\n");
  CHECK(cut.got.size() == 100);
  CHECK(cut.lines.last() == "149");
  cut.clock.advance(Milliseconds(999));
  CHECK(cut.got.size() == 100);
  cut.clock.advance(Milliseconds(1000));
  REQUIRE(cut.got.size() == 101);
  CHECK(cut.got.back() == "50 more lines were left out");
  for (int i = 0; i < 101; ++i) cut.feed("again\n");
  CHECK(cut.got.size() == 201);
  cut.lines.finish();
  CHECK(cut.got.back() == "1 more line was left out");
}

}  // namespace
}  // namespace test
