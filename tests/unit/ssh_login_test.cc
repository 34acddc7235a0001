// Keys of a real agent log in at a real sshd, a failed login says which keys were tried, and a
// configured ssh program runs once for each stream.
#include <csignal>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/memory_stream.h"
#include "tests/unit/support/ssh_server.h"
#include "tunnel/io/address.h"
#include "tunnel/ssh/tunnel.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

// That there is a file does not say that somebody listens already.
bool accepts(const std::string& path) {
  const auto address = tunnel::io::unix_address(path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->raw);
  const bool connected = connect(fd, raw, address->length) == 0;
  close(fd);
  return connected;
}

class RealAgent {
 public:
  explicit RealAgent(SshWorld& world) : world_(world), socket_(world.folder / "agent") {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    child_ = start_program({"ssh-agent", "-D", "-a", socket_}, null, null);
    close(null);
    world.until([&] { return accepts(socket_); });
    world.parts.environment.agent_socket = socket_;
    world.target.keyfile = world.folder / "none";
  }
  ~RealAgent() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  RealAgent(const RealAgent&) = delete;
  RealAgent& operator=(const RealAgent&) = delete;

  // Makes a key, gives it to the agent alone, and returns its public half.
  std::string add(const std::string& type, const std::string& bits) {
    const std::string file = world_.folder / ("agent_" + std::to_string(++count_));
    run_program({"ssh-keygen", "-q", "-t", type, "-b", bits, "-N", "", "-C",
                 "number " + std::to_string(count_), "-f", file});
    run_program({"env", "SSH_AUTH_SOCK=" + socket_, "ssh-add", "-q", file});
    unlink(file.c_str());
    return read_file(file + ".pub");
  }
  void stop() const {
    kill(child_, SIGSTOP);
    waitpid(child_, nullptr, WUNTRACED);
  }

 private:
  SshWorld& world_;
  std::string socket_;
  pid_t child_ = 0;
  int count_ = 0;
};

}  // namespace

TEST_CASE("ssh agent: a real one signs for us") {
  const auto type =
      GENERATE(values<std::pair<std::string, std::string>>({{"ed25519", "256"}, {"ecdsa", "384"}}));
  SshWorld world;
  RealAgent agent(world);
  agent.add("rsa", "2048");
  write_file(world.folder / "authorized_keys", agent.add(type.first, type.second));
  for (int i = 0; i < 3; ++i) world.echo(world.opened(), "x");
}

TEST_CASE("ssh agent: keys that are refused, and too many of them") {
  SshWorld world;
  RealAgent agent(world);
  SECTION("no keys") {
    CHECK_THAT(world.refused().text,
               Contains("agent (it has no keys)") && Contains("none (No such"));
  }
  SECTION("an RSA key") {
    agent.add("rsa", "2048");
    write_file(world.folder / "authorized_keys", "");
    CHECK_THAT(world.refused().text,
               Contains("agent key ssh-rsa SHA256:") && Contains("number 1 ("));
  }
  SECTION("six keys") {
    for (int i = 0; i < 6; ++i) agent.add("ed25519", "256");
    world.target.keyfile = world.folder / "key";
    world.echo(world.opened(), "the key file has its turn");
    write_file(world.folder / "authorized_keys", "");
    world.streams.back()->close();
    world.until([&] { return world.streams.back()->closed(); });
    world.tunnel.reset();
    const Reason reason = world.refused();
    CHECK_THAT(reason.text,
               Contains("number 4 (refused by the server)") && Contains("2 more keys not tried"));
  }
  SECTION("keys in a file come first when sshauth= says so") {
    agent.add("ed25519", "256");
    world.target.keyfile = world.folder / "key";
    world.target.sshauth = {"privkey", "agent"};
    world.echo(world.opened(), "x");
    CHECK(world.server.log().find("Failed publickey") == std::string::npos);
  }
}

TEST_CASE("ssh agent: one that cannot be reached, or does not answer") {
  SshWorld world;
  SECTION("no socket") {
    world.target.keyfile = world.folder / "none";
    world.parts.environment.agent_socket = world.folder / "no-agent";
    CHECK_THAT(world.refused().text, Contains("agent at " + (world.folder / "no-agent")));
  }
  SECTION("silence, and then the key file") {
    RealAgent agent(world);
    agent.stop();
    world.target.keyfile = world.folder / "key";
    world.target.sshauth = {"agent", "privkey"};
    tunnel::io::Clock clock;
    world.tunnel = tunnel::ssh::make_ssh_tunnel(clock, world.target, world.parts);
    tunnel::io::Timer turn(world.loop.clock(), [&] {
      clock.advance(clock.now());
      turn.start(Milliseconds(1));
    });
    turn.start(Milliseconds(1));
    Recorder& stream = world.open();
    world.until(
        [&] { return !stream.stages.empty() && stream.stages.back() == tunnel::io::Stage::login; });
    run_for(world.loop, Milliseconds(300));
    CHECK_FALSE(stream.opened);
    clock.advance(clock.now() + Milliseconds(8000));
    world.until([&] { return stream.opened; });
    world.echo(stream, "x");
    world.finish();
  }
}

TEST_CASE("ssh program: each stream is a child of its own") {
  tunnel::io::Clock clock;
  tunnel::Target target;
  target.name = "hail";
  target.host = "hail.example.com";
  target.port = 2222;
  target.command = "/opt/ssh";
  target.sockets = {"/run/libvirt/libvirt-sock-ro"};
  target.helper_uri = "qemu:///system";
  tunnel::ssh::Parts parts;
  std::vector<std::vector<std::string>> run;
  std::vector<std::string> notes;
  parts.notes = [&](const std::string& note) { notes.push_back(note); };
  parts.run = [&](const std::vector<std::string>& arguments, const auto& line) {
    run.push_back(arguments);
    line("Permission denied\x1b");
    return MemoryStream::pair(clock).first;
  };
  SECTION("what is run") {
    const auto tunnel = tunnel::ssh::make_ssh_tunnel(clock, target, parts);
    Recorder first(tunnel->stream());
    Recorder second(tunnel->stream());
    REQUIRE(run.size() == 2);
    CHECK(run[0][0] == "/opt/ssh");
    CHECK(run[0][run[0].size() - 2] == "hail.example.com");
    CHECK(notes[0] == "hail: /opt/ssh: Permission denied\x1b");
  }
  SECTION("what is refused") {
    SECTION("no check of the host") { target.no_verify = true; }
    SECTION("a socket that is no path") { target.sockets = {"@abstract"}; }
    const auto tunnel = tunnel::ssh::make_ssh_tunnel(clock, target, parts);
    Recorder stream(tunnel->stream());
    stream.open();
    settle(clock);
    REQUIRE(stream.closed());
    CHECK(stream.reason->kind == Reason::Kind::refused);
    CHECK(run.empty());
  }
}

}  // namespace test
