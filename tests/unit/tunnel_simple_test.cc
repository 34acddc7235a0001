// A unix tunnel goes to the first socket that answers, plain tcp leaves the host only when that is
// accepted, and an ext tunnel runs its command without a shell.
#include <csignal>
#include <fstream>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/this_host.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/tunnel.h"

namespace test {
namespace {

using base::is_loopback;
using Catch::Matchers::Contains;
using tunnel::make_tunnel;
using tunnel::Target;
using tunnel::Transport;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

Target target_of(Transport transport) {
  Target target;
  target.name = "hail";
  target.transport = transport;
  return target;
}

Reason reason_of(const Target& target) {
  Loop loop;
  const auto tunnel = make_tunnel(loop, target);
  Recorder recorder(tunnel->stream());
  recorder.open();
  run_until(loop, [&] { return recorder.closed(); });
  CHECK(!recorder.opened);
  return *recorder.reason;
}

void open_and_close(const Target& target) {
  Loop loop;
  const auto tunnel = make_tunnel(loop, target);
  Recorder one(tunnel->stream());
  Recorder two(tunnel->stream());
  one.open();
  two.open();
  run_until(loop, [&] { return one.opened && two.opened; });
  one.close();
  two.close();
  loop.run();
  CHECK(one.closed());
  CHECK(two.closed());
}

TEST_CASE("a unix tunnel goes to the first of the target's sockets") {
  const TemporaryFolder folder;
  const int server = unix_server(folder / "ro", 5);
  Target target = target_of(Transport::unix);
  target.sockets = {folder / "none", folder / "ro"};
  open_and_close(target);
  close(server);
  const Reason reason = reason_of(target);
  CHECK(reason.stage == Stage::connect);
  CHECK_THAT(reason.text, Contains("none: No such file") && Contains("ro: Connection refused"));
}

TEST_CASE("a tcp tunnel goes to loopback, and elsewhere only if that is accepted") {
  TcpServer server;
  Target target = target_of(Transport::tcp);
  target.port = server.port();
  target.host = GENERATE("127.0.0.1", "localhost");
  open_and_close(target);
  server.stop();
  CHECK_THAT(reason_of(target).text, Contains("Connection refused"));
  target.host = "hail.example.com";
  const Reason reason = reason_of(target);
  CHECK(reason.kind == Reason::Kind::refused);
  CHECK_THAT(reason.text, Contains("hail.example.com") && Contains("insecure = true"));
  target.host = std::string(254, 'a');
  target.insecure = true;
  CHECK(reason_of(target).stage == Stage::look_up);
}

TEST_CASE("only what is certain to stay on the host is loopback") {
  for (const char* host : {"127.0.0.1", "127.255.255.254", "::1", "localhost", "LocalHost"}) {
    INFO(host);
    CHECK(is_loopback(host));
  }
  for (const char* host : {"", "128.0.0.1", "126.255.255.255", "::", "::2", "0.0.0.0", "127.1",
                           "127.0.0.1.example.com", "localhost.example.com", "::ffff:192.0.2.1"}) {
    INFO(host);
    CHECK(!is_loopback(host));
  }
  CHECK(!is_loopback(std::string("localhost\0.example.com", 22)));
}

TEST_CASE("an ext tunnel is the command, run without a shell and without arguments") {
  const TemporaryFolder folder;
  std::ofstream(folder / "my tunnel; id") << "#!/bin/sh\necho $#\necho 'what\tis this' >&2\ncat\n";
  REQUIRE(chmod((folder / "my tunnel; id").c_str(), 0700) == 0);
  Target target = target_of(Transport::ext);
  target.command = folder / "my tunnel; id";
  Loop loop;
  std::vector<std::string> notes;
  const auto tunnel =
      make_tunnel(loop, target, [&](const std::string& note) { notes.push_back(note); });
  Recorder recorder(tunnel->stream());
  recorder.open();
  recorder.write("hello");
  run_until(loop, [&] { return recorder.data == "0\nhello" && !notes.empty(); });
  CHECK(notes == std::vector<std::string>{"hail: what\tis this"});
  recorder.stream->end();
  run_until(loop, [&] { return recorder.closed(); });
  CHECK(recorder.reason->kind == Reason::Kind::end);
}

TEST_CASE("an ext tunnel that cannot be is refused or fails, with what is wrong") {
  Target target = target_of(Transport::ext);
  CHECK_THAT(reason_of(target).text, Contains("needs a command"));
  target.command = "/nonexistent";
  CHECK(reason_of(target).text == "cannot run /nonexistent: No such file or directory");
}

}  // namespace
}  // namespace test
