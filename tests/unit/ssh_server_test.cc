// Streams through a real sshd are channels of one connection, and unknown, changed or revoked host
// keys and refused logins are errors that say what was tried.
#include "tests/unit/support/ssh_server.h"

#include <algorithm>

#include <libssh2.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "tests/unit/support/catch.h"
#include "tunnel/ssh/digest.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::RemoteProxy;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

// `size` bytes that differ between seeds.
std::string pattern(std::size_t size, unsigned seed) {
  std::string out(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& c : out) {
    state = state * 1664525U + 1013904223U;
    c = static_cast<char>(state >> 24);
  }
  return out;
}

void put_program(const std::string& path, const std::string& script) {
  write_file(path, "#!/bin/sh\n" + script);
  REQUIRE(chmod(path.c_str(), 0700) == 0);
}

}  // namespace

TEST_CASE("sshd: streams are channels of one connection") {
  SshWorld world;
  Recorder& first = world.opened();
  CHECK(first.stages ==
        std::vector<Stage>{Stage::handshake, Stage::login, Stage::channel, Stage::established});
  world.echo(first, "hello");
  for (int i = 0; i < 12; ++i) world.echo(world.opened(), std::to_string(i));
  CHECK(world.server.connections() == 1);
  CHECK(world.daemon.accepted() == 13);
  // One command, and no more, makes sshd send small answers at once.
  const std::string log = world.server.log();
  const std::size_t command = log.find("Starting session: command");
  CHECK(command != std::string::npos);
  CHECK(log.find("Starting session: command", command + 1) == std::string::npos);
  CHECK(world.noted().empty());
}

TEST_CASE("sshd: many streams that open at once, and close in any state") {
  SshWorld world;
  std::vector<Recorder*> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(&world.open());
  for (std::size_t i = 0; i < streams.size(); i += 3) streams[i]->close();
  world.until([&] {
    return std::ranges::all_of(streams, [](auto* s) { return s->opened || s->closed(); });
  });
  for (std::size_t i = 0; i < streams.size(); ++i) {
    CHECK(streams[i]->closed() == (i % 3 == 0));
    if (i % 3 == 0) continue;
    world.echo(*streams[i], "stream " + std::to_string(i));
    streams[i]->close();
  }
  world.echo(world.opened(), "and another");
  CHECK(world.server.connections() == 1);
}

TEST_CASE("sshd: what is written before the stream opens is sent; pausing holds everything back") {
  SshWorld world;
  Recorder& stream = world.open();
  stream.write("early ");
  world.until([&] { return stream.opened; });
  stream.write("late");
  world.until([&] { return stream.data.size() == 10; });
  CHECK(stream.data == "early late");

  stream.data.clear();
  stream.stream->pause(1);
  const std::string sent = pattern(16'000'000, 7);
  stream.write(sent);
  Recorder& other = world.opened();
  world.echo(other, pattern(500'000, 8));
  CHECK(stream.data.empty());
  CHECK(stream.stream->queued() > 0);
  stream.stream->resume(1);
  world.until([&] { return stream.data.size() == sent.size(); });
  CHECK((stream.data == sent));
  CHECK(stream.drained == 1);
}

TEST_CASE("sshd: the end of a stream in each direction") {
  SshWorld world;
  Recorder& stream = world.opened();
  world.echo(stream, "x");
  stream.stream->end();
  world.until([&] { return stream.closed(); });
  CHECK(stream.ended);
  CHECK(stream.reason->kind == Reason::Kind::end);
  world.echo(world.opened(), "others live on");
  CHECK(world.server.connections() == 1);
}

TEST_CASE("sshd: keys change while eight channels are busy") {
  SshWorld world("RekeyLimit 1M\n");
  std::vector<Recorder*> streams;
  std::vector<std::string> sent;
  for (unsigned i = 0; i < 8; ++i) {
    streams.push_back(&world.opened());
    sent.push_back(pattern(4'000'000 + i, i));
  }
  for (std::size_t i = 0; i < streams.size(); ++i) streams[i]->write(sent[i]);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    world.until([&] { return streams[i]->closed() || streams[i]->data.size() == sent[i].size(); });
    CHECK(streams[i]->reason_text().empty());
    CHECK((streams[i]->data == sent[i]));
  }
  CHECK(world.server.connections() == 1);
  std::size_t exchanges = 0;
  const std::string log = world.server.log();
  for (std::size_t at = 0; (at = log.find("SSH2_MSG_KEXINIT received", at)) != std::string::npos;
       ++at) {
    ++exchanges;
  }
  CHECK(exchanges > 10);
}

TEST_CASE("sshd: without streamlocal forwarding the helper is run, then netcat") {
  SshWorld world("AllowStreamLocalForwarding no\n");
  REQUIRE(mkdir((world.folder / "bin").c_str(), 0700) == 0);
  const std::string path = world.folder / "bin";
  SECTION("the helper is there") {
    put_program(path + "/virt-ssh-helper", "test \"$*\" = '-r qemu:///system' && exec cat\n");
    for (int i = 0; i < 3; ++i) world.echo(world.opened(), "through the helper");
    CHECK(world.daemon.accepted() == 0);
  }
  SECTION("there is netcat alone") {
    put_program(path + "/virt-ssh-helper", "echo not here >&2; exit 127\n");
    put_program(path + "/nc",
                "test \"$1\" = -q && { echo option requires an argument; exit 1; }\n"
                "test \"$1 $2\" = '-q0 -U' || exit 9\n"
                "exec /usr/bin/python3 -c \"import socket,sys,os,threading\n"
                "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                "def up():\n"
                "  while d := os.read(0, 65536): s.sendall(d)\n"
                "  os._exit(0)\n"
                "threading.Thread(target=up).start()\n"
                "while d := s.recv(65536): os.write(1, d)\n"
                "os._exit(0)\n\" \"$3\"\n");
    Recorder& stream = world.opened();
    stream.data.clear();
    world.echo(stream, "through netcat");
    world.echo(stream, "and again");
    CHECK(world.daemon.accepted() == 1);
    world.echo(world.opened(), "at once");
  }
  SECTION("there is nothing") {
    put_program(path + "/virt-ssh-helper", "echo not here >&2; exit 127\n");
    put_program(path + "/nc", "echo no netcat here >&2; exit 3\n");
    Recorder& stream = world.opened();
    stream.write("hello?");
    world.until([&] { return stream.closed(); });
    CHECK(stream.reason->kind == Reason::Kind::system);
    CHECK(stream.reason->stage == Stage::channel);
    CHECK_THAT(stream.reason_text(), Contains("socket " + world.folder / "daemon-ro"));
    CHECK_THAT(stream.reason_text(), Contains("virt-ssh-helper: exit status 127: not here"));
    CHECK_THAT(stream.reason_text(), Contains("exit status 3: no netcat here"));
  }
}

TEST_CASE("sshd: a missing socket is passed over, and what worked is tried first") {
  SshWorld world;
  world.target.sockets.insert(world.target.sockets.begin(), world.folder / "none-ro");
  for (int i = 0; i < 5; ++i) world.echo(world.opened(), "x");
  const std::string log = world.server.log();
  std::size_t tries = 0;
  const std::string request =
      "server_request_direct_streamlocal: originator  port 0, target " + (world.folder / "none-ro");
  for (std::size_t at = 0; (at = log.find(request, at)) != std::string::npos; ++at) ++tries;
  CHECK(tries == 1);
}

TEST_CASE("sshd: an address that nobody listens at is an error") {
  SshWorld world;
  world.target.forward_host = "127.0.0.1";
  world.target.forward_port = 1;
  world.make_tunnel();
  const Reason reason = world.refused();
  CHECK(reason.kind == Reason::Kind::system);
  CHECK(reason.stage == Stage::channel);
  CHECK(reason.text == "connection to 127.0.0.1 port 1: Channel open failure (connect failed)");
}

TEST_CASE("sshd: sessions beyond MaxSessions go to another connection") {
  SshWorld world("MaxSessions 2\n");
  REQUIRE(mkdir((world.folder / "bin").c_str(), 0700) == 0);
  put_program(world.folder / "bin/virt-ssh-helper", "exec cat\n");
  SECTION("helpers") {
    world.target.proxy = RemoteProxy::native;
    std::vector<Recorder*> streams;
    for (int i = 0; i < 5; ++i) streams.push_back(&world.opened());
    for (Recorder* stream : streams) world.echo(*stream, "x");
    CHECK(world.server.connections() == 3);
    streams[0]->close();
    world.until([&] { return streams[0]->closed(); });
    world.echo(world.opened(), "y");
  }
  SECTION("sockets are not counted") {
    std::vector<Recorder*> streams;
    for (int i = 0; i < 5; ++i) streams.push_back(&world.opened());
    for (Recorder* stream : streams) world.echo(*stream, "x");
    CHECK(world.server.connections() == 1);
  }
}

TEST_CASE("sshd: a server without sessions forwards sockets, and runs nothing") {
  SshWorld world("MaxSessions 0\n");
  SECTION("sockets") { world.echo(world.opened(), "x"); }
  SECTION("helper") {
    world.target.proxy = RemoteProxy::native;
    const Reason reason = world.refused();
    CHECK(reason.stage == Stage::channel);
    CHECK_THAT(reason.text, Contains("the server refuses sessions"));
    CHECK(world.server.connections() == 1);
  }
}

TEST_CASE("sshd: unknown, changed and revoked host keys are different errors") {
  SshWorld world({}, {"ed25519", "ecdsa"});
  const std::string key = read_file(world.folder / "host_ed25519.pub");
  const std::string blob = key.substr(12, key.find(' ', 12) - 12);
  const std::string print = tunnel::ssh::fingerprint(*base::decode_base64(blob));
  const std::string file = world.folder / "known_hosts";

  SECTION("unknown") {
    write_file(file, "other.example.com " + key);
    const Reason reason = world.refused();
    CHECK(reason.kind == Reason::Kind::refused);
    CHECK(reason.stage == Stage::handshake);
    CHECK_THAT(reason.text,
               Contains("hail.example.com is not known") && Contains(print) && Contains(file));
    CHECK(world.server.log().find("userauth") == std::string::npos);
  }
  SECTION("unknown, and there is an authority") {
    write_file(file, "@cert-authority *.example.com " + key);
    CHECK_THAT(world.refused().text, Contains("certificate authority"));
  }
  SECTION("changed") {
    write_file(file, "\nhail.example.com " + read_file(world.folder / "key.pub"));
    const Reason reason = world.refused();
    CHECK(reason.kind == Reason::Kind::refused);
    CHECK_THAT(reason.text, Contains("has changed") && Contains(print) && Contains(file + ":2"));
    world.target.known_hosts_verify = tunnel::KnownHostsVerify::automatic;
    world.tunnel.reset();
    CHECK_THAT(world.refused().text, Contains("has changed"));
  }
  SECTION("revoked") {
    write_file(file, "hail.example.com " + key + "@revoked * " + key);
    world.target.known_hosts_verify = tunnel::KnownHostsVerify::automatic;
    CHECK_THAT(world.refused().text, Contains("is revoked by " + file + ":2"));
  }
  SECTION("known by another of its types") {
    world.know_host({"ecdsa"});
    world.echo(world.opened(), "x");
  }
  SECTION("recorded") {
    write_file(file, "# mine\n");
    world.target.known_hosts_verify = tunnel::KnownHostsVerify::automatic;
    world.echo(world.opened(), "x");
    CHECK(read_file(file) == "# mine\nhail.example.com ssh-ed25519 " + blob + "\n");
    CHECK_THAT(world.noted(), Contains("recorded the new host key " + print));
  }
  SECTION("ignored, if the target is insecure") {
    write_file(file, "");
    world.target.known_hosts_verify = tunnel::KnownHostsVerify::ignore;
    CHECK_THAT(world.refused().text, Contains("insecure = true"));
    world.target.insecure = true;
    world.tunnel.reset();
    world.echo(world.opened(), "x");
    CHECK(read_file(file).empty());
    CHECK_THAT(world.noted(), Contains("accepted all the same"));
  }
  SECTION("a file that cannot be read") {
    world.target.known_hosts = world.folder / "";
    CHECK_THAT(world.refused().text, Contains("is not a regular file"));
  }
}

TEST_CASE("sshd: an RSA host key alone") {
  SshWorld world({}, {"rsa"});
  if (libssh2_version(0x010b00) != nullptr) {
    world.echo(world.opened(), "x");
    return;
  }
  const Reason reason = world.refused();
  CHECK(reason.stage == Stage::handshake);
  CHECK_THAT(reason.text, Contains("host key: the server has rsa-sha2-512,rsa-sha2-256") &&
                              Contains("Ed25519 host key"));
}

TEST_CASE("sshd: who is not let in is told what was tried") {
  SshWorld world;
  SECTION("a wrong user") {
    world.target.user = "nobody-of-that-name";
    const Reason reason = world.refused();
    CHECK(reason.kind == Reason::Kind::refused);
    CHECK(reason.stage == Stage::login);
    CHECK_THAT(reason.text,
               Contains("ssh login as nobody-of-that-name failed; tried: ") &&
                   Contains(world.folder / "key, ssh-ed25519 (refused by the server)") &&
                   Contains("the server accepts publickey"));
  }
  SECTION("a wrong key") {
    write_file(world.folder / "authorized_keys", "");
    CHECK_THAT(world.refused().text, Contains("agent (none: SSH_AUTH_SOCK is not set)") &&
                                         Contains("key, ssh-ed25519 (refused by the server)"));
  }
  SECTION("no key") {
    world.target.keyfile = world.folder / "none";
    CHECK_THAT(world.refused().text, Contains("none (No such file or directory)"));
  }
  SECTION("an RSA key") {
    run_program(
        {"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", world.folder / "rsa"});
    write_file(world.folder / "authorized_keys", read_file(world.folder / "rsa.pub"));
    world.target.keyfile = world.folder / "rsa";
    if (libssh2_version(0x010b00) != nullptr) {
      world.echo(world.opened(), "x");
    } else {
      CHECK_THAT(world.refused().text,
                 Contains("signs with RSA keys only by SHA-1") && Contains("rsa"));
    }
  }
  SECTION("passwords") {
    world.target.sshauth = {"password", "keyboard-interactive"};
    CHECK_THAT(world.refused().text, Contains("password (ignored: a service cannot ask for it)") &&
                                         Contains("keyboard-interactive (ignored: "));
  }
  SECTION("a server that wants no keys") {
    write_file(world.folder / "sshd_config",
               "PubkeyAuthentication no\nPasswordAuthentication yes\n" +
                   read_file(world.folder / "sshd_config"));
    CHECK_THAT(world.refused().text, Contains("the server accepts password, and no keys"));
  }
  SECTION("a server that ends it after too many keys") {
    write_file(world.folder / "sshd_config",
               read_file(world.folder / "sshd_config") + "MaxAuthTries 1\n");
    write_file(world.folder / "authorized_keys", "");
    CHECK_THAT(world.refused().text,
               Contains("Too many authentication failures") || Contains("refused by the server"));
  }
}

TEST_CASE("sshd: keys in every form that ssh-keygen writes") {
  const auto options = GENERATE(values<std::vector<std::string>>({
      {"-t", "ecdsa", "-b", "256"},
      {"-t", "ecdsa", "-b", "521"},
      {"-t", "ecdsa", "-m", "PEM"},
      {"-t", "ecdsa", "-m", "PKCS8"},
      {"-t", "ed25519"},
  }));
  const auto passphrase = GENERATE(values<std::string>({"", "open sesame"}));
  CAPTURE(options, passphrase);
  SshWorld world;
  std::vector<std::string> command{"ssh-keygen", "-q", "-N",
                                   passphrase,   "-f", world.folder / "other"};
  command.insert(command.end(), options.begin(), options.end());
  run_program(command);
  write_file(world.folder / "authorized_keys", read_file(world.folder / "other.pub"));
  world.target.keyfile = world.folder / "other";
  world.target.passphrase_file = world.folder / "pass";
  write_file(world.folder / "pass", passphrase + "\n");
  REQUIRE(chmod((world.folder / "pass").c_str(), 0600) == 0);
  world.echo(world.opened(), "x");
}

TEST_CASE("sshd: a wrong passphrase is said to be wrong") {
  SshWorld world;
  const auto type = GENERATE(values<std::string>({"ed25519", "ecdsa"}));
  run_program({"ssh-keygen", "-q", "-t", type, "-N", "right", "-f", world.folder / "other"});
  write_file(world.folder / "authorized_keys", read_file(world.folder / "other.pub"));
  world.target.keyfile = world.folder / "other";
  world.target.passphrase_file = world.folder / "pass";
  const auto passphrase = GENERATE(values<std::string>({"wrong", ""}));
  write_file(world.folder / "pass", passphrase);
  REQUIRE(chmod((world.folder / "pass").c_str(), 0600) == 0);
  CHECK_THAT(world.refused().text, Contains("the passphrase does not open it"));
}

TEST_CASE("sshd: killed while data flows") {
  SshWorld world;
  std::vector<Recorder*> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(&world.opened());
  for (Recorder* stream : streams) stream->write(pattern(8'000'000, 3));
  world.until([&] { return streams[0]->data.size() > 100'000; });
  world.server.kill_all();
  world.until([&] { return std::ranges::all_of(streams, [](auto* s) { return s->closed(); }); });
  for (Recorder* stream : streams) {
    CHECK(stream->reason->stage == Stage::established);
    CHECK(stream->reason->kind != Reason::Kind::requested);
    CHECK_FALSE(stream->reason_text().empty());
  }
  world.echo(world.opened(), "a new connection");
}

TEST_CASE("sshd: a connection that died unnoticed is replaced") {
  SshWorld world;
  world.opened().close();
  world.until([&] { return world.streams[0]->closed(); });
  world.server.kill_all();
  world.echo(world.opened(), "x");
}

}  // namespace test
