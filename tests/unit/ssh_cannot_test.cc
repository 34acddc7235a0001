// What the ssh tunnel cannot do is told as that, and not as something wrong with what it was given.
#include <libssh2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/whereabouts.h"
#include "tunnel/io/connect.h"
#include "tunnel/ssh/keys.h"
#include "tunnel/ssh/library_words.h"
#include "tunnel/ssh/wire.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Reason;
using tunnel::io::Stage;

// A line of known_hosts with a made-up key of that type.
std::string made_up_line(std::string_view type) {
  base::Buffer key;
  tunnel::ssh::put_string(key, type);
  tunnel::ssh::put_string(key, std::string_view("01234567890123456789012345678901"));
  tunnel::ssh::put_string(key, std::string_view("ssh:"));
  return "hail.example.com " + std::string(type) + " " + base::encode_base64(key) + "\n";
}

bool is_new() { return libssh2_version(0x010b00) != nullptr; }

}  // namespace

TEST_CASE("ssh cannot: compare recorded keys of types that libssh2 does not know") {
  SshWorld world;
  const std::string file = world.folder / "known_hosts";
  const std::string real = read_file(file);
  const auto type = GENERATE(values<std::string>({"sk-ssh-ed25519@openssh.com", "ssh-dss"}));
  SECTION("beside one that matches") {
    write_file(file, made_up_line(type) + real);
    world.echo(world.opened(), "x");
  }
  SECTION("alone, which says nothing of the key that the server shows") {
    write_file(file, made_up_line(type));
    world.target.known_hosts_verify =
        GENERATE(tunnel::KnownHostsVerify::normal, tunnel::KnownHostsVerify::automatic);
    const Reason reason = world.refused();
    CHECK(reason.kind == Reason::Kind::refused);
    CHECK(reason.text.find("changed") == std::string::npos);
    CHECK_THAT(reason.text, Contains("is of a type (" + type + ", " + file + ":1)") &&
                                Contains("cannot be compared") &&
                                Contains("ssh-keyscan -p 22 hail.example.com >> " + file));
    CHECK(read_file(file) == made_up_line(type));
  }
  SECTION("beside another of a type that can be compared") {
    write_file(file,
               made_up_line(type) + "hail.example.com " + read_file(world.folder / "key.pub"));
    CHECK_THAT(world.refused().text, Contains("has changed"));
  }
}

TEST_CASE("ssh cannot: a hint never says how not to verify") {
  SshWorld world;
  write_file(world.folder / "known_hosts", "");
  const std::string text = world.refused().text;
  CHECK_THAT(text, Contains("ssh-keyscan -p 22 hail.example.com >> "));
  CHECK(text.find("known_hosts_verify") == std::string::npos);
}

TEST_CASE("ssh cannot: read what stands before a key, and does not need to") {
  SshWorld world;
  run_program(
      {"ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", world.folder / "other"});
  write_file(world.folder / "authorized_keys", read_file(world.folder / "other.pub"));
  write_file(world.folder / "both",
             "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" +
                 read_file(world.folder / "other"));
  REQUIRE(chmod((world.folder / "both").c_str(), 0600) == 0);
  world.target.keyfile = world.folder / "both";
  world.echo(world.opened(), "x");
}

TEST_CASE("ssh cannot: read a key by its cipher, and names that") {
  SshWorld world;
  const auto cipher =
      GENERATE(values<std::string>({"aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"}));
  const std::string key = world.folder / "other";
  run_program({"ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-Z", cipher, "-f", key});
  write_file(world.folder / "authorized_keys", read_file(key + ".pub"));
  write_file(world.folder / "pass", "secret");
  REQUIRE(chmod((world.folder / "pass").c_str(), 0600) == 0);
  world.target.keyfile = key;
  world.target.passphrase_file = world.folder / "pass";
  CHECK_THAT(world.refused().text, Contains("encrypted with " + cipher) &&
                                       Contains("ssh-keygen -p -Z aes256-ctr -f " + key));
}

TEST_CASE("ssh cannot: take a long version line, and says how long it is") {
  SshWorld world("VersionAddendum " + std::string(300, 'v') + "\n");
  if (is_new()) return world.echo(world.opened(), "x");
  const Reason reason = world.refused();
  CHECK(reason.stage == Stage::handshake);
  CHECK_THAT(reason.text, Contains("version line has 3") && Contains(" bytes") &&
                              Contains("takes 256") && Contains("command=ssh"));
}

TEST_CASE("ssh cannot: agree on an algorithm, and says what to add where") {
  SshWorld world("MACs hmac-sha2-256-etm@openssh.com\nCiphers aes256-ctr\n");
  if (is_new()) return;
  CHECK_THAT(world.refused().text, Contains("MAC: the server has hmac-sha2-256-etm@openssh.com") &&
                                       Contains("to MACs in the server's sshd_config") &&
                                       Contains("command=ssh"));
}

TEST_CASE("ssh cannot: read what a shell says for a message") {
  SshWorld world("AllowStreamLocalForwarding no\n");
  REQUIRE(mkdir((world.folder / "bin").c_str(), 0700) == 0);
  const auto say = [&](const std::string& script) {
    for (const std::string name : {"virt-ssh-helper", "nc"}) {
      const std::string file = world.folder / ("bin/" + name);
      write_file(file, "#!/bin/sh\n" + script);
      REQUIRE(chmod(file.c_str(), 0700) == 0);
    }
    Recorder& stream = world.opened();
    stream.write("hello");
    world.until([&] { return stream.closed(); });
    CHECK(stream.reason->stage == Stage::channel);
    CHECK(stream.data.empty());
    return stream.reason_text();
  };
  SECTION("nologin") {
    CHECK_THAT(say("echo 'This account is currently not available.'; exit 1\n"),
               Contains("the far shell says \"This account is currently not available.\""));
  }
  SECTION("a word in .bashrc, and then the daemon") {
    CHECK_THAT(say("test \"$1\" = -q && exit 1; echo WELCOME; exec cat\n"),
               Contains("the far shell says \"WELCOME\""));
  }
  SECTION("in another alphabet") {
    CHECK_THAT(say("echo 'Gr\303\274\303\237e'; exit 1\n"),
               Contains("the far shell says \"Gr\303\274\303\237e\""));
  }
  SECTION("a line without an end") {
    CHECK_THAT(say("printf 'not today'; exit 1\n"), Contains("the far shell says \"not today\""));
  }
}

TEST_CASE("ssh cannot: take for a shell's words what only begins with a letter") {
  SshWorld world("AllowStreamLocalForwarding no\n");
  REQUIRE(mkdir((world.folder / "bin").c_str(), 0700) == 0);
  for (const std::string name : {"virt-ssh-helper", "nc"}) {
    const std::string file = world.folder / ("bin/" + name);
    write_file(file, "#!/bin/sh\nprintf 'T'; sleep 0.1; printf 'h\\001s and more'; exec cat\n");
    REQUIRE(chmod(file.c_str(), 0700) == 0);
  }
  Recorder& stream = world.opened();
  world.until([&] { return stream.data.size() >= 13 || stream.closed(); });
  CHECK_FALSE(stream.closed());
  CHECK(stream.data == "Th\001s and more");
}

TEST_CASE("ssh cannot: know that a credential was replaced, and says that it needs a restart") {
  SshWorld world;
  world.parts.environment.credentials = world.folder / "credentials";
  REQUIRE(mkdir((world.folder / "credentials").c_str(), 0700) == 0);
  world.target.keyfile = world.folder / "credentials/hail";
  write_file(world.target.keyfile, read_file(world.folder / "key"));
  REQUIRE(chmod(world.target.keyfile.c_str(), 0600) == 0);
  write_file(world.folder / "authorized_keys", "");
  CHECK_THAT(world.refused().text,
             Contains("refused by the server") && Contains("needs a restart"));
}

TEST_CASE("ssh cannot: see an encrypted RSA key of PKCS #8 before it is tried") {
  SshWorld world;
  const std::string key = world.folder / "other";
  run_program(
      {"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "secret", "-f", key});
  write_file(world.folder / "authorized_keys", read_file(key + ".pub"));
  write_file(world.folder / "pass", "secret");
  REQUIRE(chmod((world.folder / "pass").c_str(), 0600) == 0);
  world.target.keyfile = key;
  world.target.passphrase_file = world.folder / "pass";
  if (is_new()) return world.echo(world.opened(), "x");
  CHECK_THAT(world.refused().text, Contains("if it is an RSA key") && Contains("only by SHA-1"));
}

TEST_CASE("ssh cannot: use a key that others can read, and says which mode it needs") {
  SshWorld world;
  REQUIRE(chmod((world.folder / "key").c_str(), 0644) == 0);
  const Reason reason = world.refused();
  CHECK(reason.stage == Stage::login);
  CHECK_THAT(reason.text, Contains("failed; tried: key " + (world.folder / "key") +
                                   " (ignored: mode 0644, needs 0600), agent (none"));
}

TEST_CASE("ssh: the words of libssh2 1.10.0, 1.11.0 and 1.11.1 that its codes do not tell") {
  using tunnel::ssh::meaning_of;
  using tunnel::ssh::Words;
  CHECK(meaning_of("Waiting for USERAUTH response") == Words::session_broke);
  CHECK(meaning_of("Waiting for publickey USERAUTH response") == Words::session_broke);
  CHECK(meaning_of("Callback returned error") == Words::not_signed);
  CHECK(meaning_of("Username/PublicKey combination invalid") == Words::none);
  CHECK(meaning_of("Invalid signature for supplied public key, or bad username/public key "
                   "combination") == Words::none);
}

TEST_CASE("ssh: a login that is cut is told as the cut") {
  SshWorld world;
  bool killed = false;
  world.make_tunnel();
  world.streams.push_back(std::make_unique<Recorder>(world.tunnel->stream()));
  Recorder& stream = *world.streams.back();
  stream.at = [&](std::string_view event) {
    if (event != "stage" || stream.stages.back() != Stage::login || killed) return;
    killed = true;
    world.server.kill_all();
  };
  stream.open();
  world.until([&] { return stream.closed(); });
  REQUIRE(killed);
  CHECK(stream.reason->stage == Stage::login);
  CHECK(stream.reason->kind != Reason::Kind::refused);
  CHECK(stream.reason_text().find("failed; tried") == std::string::npos);
}

TEST_CASE("ssh: what a resolver does not know may be an alias of ssh_config") {
  SshWorld world;
  world.parts.connect = [&] {
    return tunnel::io::failed_stream(world.loop.clock(), {Reason::Kind::system, Stage::look_up,
                                                          "hv: Name or service not known"});
  };
  CHECK_THAT(world.refused().text, Contains("ssh_config is not read") && Contains("command=ssh"));
}

TEST_CASE("ssh: the key that keyfile= names is tried before the agent's") {
  SshWorld world;
  int asked = 0;
  world.parts.environment.agent_socket = world.folder / "agent";
  world.parts.connect_agent = [&](const std::string& path) {
    ++asked;
    return tunnel::io::connect_unix(world.loop, {path}, tunnel::io::Milliseconds(5000));
  };
  world.echo(world.opened(), "x");
  CHECK(asked == 0);
  const base::Buffer half = tunnel::ssh::public_half(world.folder / "key", test::unasked);
  const std::string line = read_file(world.folder / "key.pub");
  CHECK(line.find(base::encode_base64(half)) != std::string::npos);
  REQUIRE(rename((world.folder / "key.pub").c_str(), (world.folder / "bare.pub").c_str()) == 0);
  CHECK(tunnel::ssh::public_half(world.folder / "bare", test::unasked) == half);
}

}  // namespace test
