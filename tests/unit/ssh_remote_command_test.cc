// Each word of a remote command reaches the far program as it is, words that could be misread are
// refused, and an ssh greeting is read at every split.
#include <array>
#include <cstdio>

#include <sys/stat.h>

#include "base/text.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/ssh_server.h"
#include "tunnel/ssh/greeting.h"
#include "tunnel/ssh/remote_command.h"
#include "tunnel/ssh/wire.h"

namespace {

using tunnel::RemoteProxy;
using tunnel::ssh::Way;

tunnel::Target target() {
  tunnel::Target out;
  out.host = "hail";
  out.port = 22;
  out.sockets = {"/run/a-ro", "/run/b-ro"};
  out.helper_uri = "qemu:///system";
  return out;
}

std::string shell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    out.append(buffer.data(), n);
  }
  pclose(pipe);
  return out;
}

}  // namespace

TEST_CASE("ssh remote command: a quoted word reaches the program as it is") {
  const auto word = GENERATE(values<std::string>(
      {"", "plain", "two words", "it's", "''", "$HOME `id` $(id)", "a;b&c|d>e", "\\", "\"", "*?[a]",
       "!history", "line\nfeed", "-n", "~", "#", "\xff\xfe"}));
  const std::string quoted = base::quoted_for_shell(word);
  CHECK(shell("printf %s " + quoted) == word);
  CHECK(shell("sh -c " + base::quoted_for_shell("printf %s " + quoted)) == word);
}

TEST_CASE("ssh remote command: the ways that proxy= and netcat= allow") {
  struct Row {
    RemoteProxy proxy;
    const char* netcat;
    bool sockets;
    std::vector<std::string> ways;
  };
  const auto row = GENERATE(values<Row>({
      {RemoteProxy::automatic,
       "",
       true,
       {"socket /run/a-ro", "socket /run/b-ro", "virt-ssh-helper", "netcat to /run/a-ro",
        "netcat to /run/b-ro"}},
      {RemoteProxy::netcat,
       "ncat",
       true,
       {"socket /run/a-ro", "socket /run/b-ro", "netcat to /run/a-ro", "netcat to /run/b-ro"}},
      {RemoteProxy::netcat,
       "",
       true,
       {"socket /run/a-ro", "socket /run/b-ro", "netcat to /run/a-ro", "netcat to /run/b-ro"}},
      {RemoteProxy::native, "", true, {"virt-ssh-helper"}},
      {RemoteProxy::automatic, "", false, {"virt-ssh-helper"}},
      {RemoteProxy::native, "nc", true, {"virt-ssh-helper"}},
      {RemoteProxy::netcat, "", false, {}},
  }));
  tunnel::Target t = target();
  t.proxy = row.proxy;
  t.netcat = row.netcat;
  if (!row.sockets) t.sockets.clear();
  const auto ways = tunnel::ssh::ways_to_daemon(t);
  CHECK(ways.ok() == !row.ways.empty());
  std::vector<std::string> names;
  if (ways) {
    for (const Way& way : ways.value()) names.push_back(to_string(way));
  }
  CHECK(names == row.ways);
  CHECK(tunnel::ssh::command_to_daemon(t).ok() == !row.ways.empty());
}

TEST_CASE("ssh remote command: what could be misread is refused") {
  tunnel::Target t = target();
  SECTION("a relative path") { t.sockets = {"run/a"}; }
  SECTION("an empty path") { t.sockets = {""}; }
  SECTION("a line feed in a path") { t.sockets = {"/run/a\nb"}; }
  SECTION("a NUL in a path") { t.sockets = {std::string("/run/a\0b", 8)}; }
  SECTION("a path that no socket can have") { t.sockets = {"/" + std::string(107, 'a')}; }
  SECTION("a line feed in the URI") { t.helper_uri = "qemu:///system\nid"; }
  SECTION("an escape in netcat=") { t.netcat = "nc\x1b"; }
  CHECK_FALSE(tunnel::ssh::ways_to_daemon(t).ok());
  CHECK_FALSE(tunnel::ssh::command_to_daemon(t).ok());
  CHECK_FALSE(tunnel::ssh::ssh_program_arguments(t).ok());
}

TEST_CASE("ssh remote command: the commands run what they say") {
  tunnel::Target t = target();
  t.sockets = {"/run/it's a \"socket\" $HOME"};
  t.helper_uri = "qemu:///it's";
  t.proxy = RemoteProxy::netcat;
  t.netcat = "echo";
  const auto ways = tunnel::ssh::ways_to_daemon(t);
  REQUIRE(ways.ok());
  CHECK(shell(ways.value()[1].command) == "-U /run/it's a \"socket\" $HOME\n");

  t.netcat = "/nowhere/it's nc";
  const auto missing = tunnel::ssh::ways_to_daemon(t);
  CHECK(shell(missing.value()[1].command + " 2>/dev/null; echo $?") == "127\n");

  t.netcat.clear();
  t.proxy = RemoteProxy::automatic;
  const test::TemporaryFolder folder;
  test::write_file(folder / "virt-ssh-helper", "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
  REQUIRE(chmod((folder / "virt-ssh-helper").c_str(), 0700) == 0);
  const std::string path = "PATH=" + (folder / "") + ":$PATH; ";
  const std::string helper = tunnel::ssh::ways_to_daemon(t).value()[1].command;
  CHECK(shell(path + helper) == "<-r><qemu:///it's>");
  const std::string all = tunnel::ssh::command_to_daemon(t).value();
  CHECK(shell(path + all) == "<-r><qemu:///it's>");
  t.netcat = "echo";
  t.proxy = RemoteProxy::netcat;
  const std::string netcat = tunnel::ssh::command_to_daemon(t).value();
  CHECK(shell(path + netcat + " 2>&1; echo $?") == "no socket of a daemon is there\n1\n");
}

TEST_CASE("ssh remote command: a netcat that waits for ever is told not to") {
  tunnel::Target t = target();
  t.proxy = RemoteProxy::netcat;
  t.sockets = {"/run/a"};
  t.netcat = "fakenc";
  const std::string command = tunnel::ssh::ways_to_daemon(t).value()[1].command;
  CHECK(command.find("fakenc") != std::string::npos);
  const std::string setup =
      "d=$(mktemp -d); printf '#!/bin/sh\\ncase $# in 1) echo option requires an argument;; *) "
      "echo "
      "\"$@\";; esac\\n' >$d/fakenc; chmod +x $d/fakenc; PATH=$d:$PATH; ";
  CHECK(shell(setup + command + "; rm -r $d") == "-q0 -U /run/a\n");
}

TEST_CASE("ssh remote command: a program in netcat's place keeps what is sent to the daemon") {
  tunnel::Target t = target();
  t.proxy = RemoteProxy::netcat;
  t.sockets = {"/run/a"};
  t.netcat = "fakenc";
  const std::string command = tunnel::ssh::ways_to_daemon(t).value()[1].command;
  // It reads all there is, whatever it is asked.
  const std::string setup =
      "d=$(mktemp -d); printf '#!/bin/sh\\necho got; cat\\n' >$d/fakenc; chmod +x $d/fakenc; "
      "PATH=$d:$PATH; ";
  CHECK(shell(setup + "echo hello | " + command + "; rm -r $d") == "got\nhello\n");
}

TEST_CASE("ssh remote command: the arguments of an ssh program are libvirt's") {
  tunnel::Target t = target();
  t.command = "/usr/bin/ssh";
  using Words = std::vector<std::string>;
  Words words = tunnel::ssh::ssh_program_arguments(t).value();
  REQUIRE(words.size() == 7);
  CHECK(Words(words.begin(), words.end() - 1) ==
        Words{"/usr/bin/ssh", "-T", "-e", "none", "--", "hail"});
  CHECK(words.back() == tunnel::ssh::command_to_daemon(t).value());

  t.port = 2222;
  t.user = "-oProxyCommand=id";
  t.keyfile = "/k";
  t.no_tty = true;
  t.no_verify = true;
  words = tunnel::ssh::ssh_program_arguments(t).value();
  CHECK(Words(words.begin(), words.end() - 1) ==
        Words{"/usr/bin/ssh", "-p", "2222", "-l", "-oProxyCommand=id", "-i", "/k", "-T", "-e",
              "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "--", "hail"});
}

TEST_CASE("ssh remote command: a host and port are the only way when they are asked for") {
  tunnel::Target t = target();
  t.forward_host = "::1";
  t.forward_port = 5900;
  const auto ways = tunnel::ssh::ways_to_daemon(t).value();
  REQUIRE(ways.size() == 1);
  CHECK(ways[0].kind == Way::Kind::address);
  CHECK(tunnel::ssh::to_string(ways[0]) == "connection to ::1 port 5900");
  t.command = "/usr/bin/ssh";
  CHECK(tunnel::ssh::ssh_program_arguments(t).value() ==
        std::vector<std::string>{"/usr/bin/ssh", "-T", "-e", "none", "-W", "[::1]:5900", "--",
                                 "hail"});
  t.forward_host = "a\nb";
  CHECK_FALSE(tunnel::ssh::ways_to_daemon(t));
  CHECK_FALSE(tunnel::ssh::ssh_program_arguments(t));
}

TEST_CASE("ssh greeting: version and algorithms, at every split") {
  base::Buffer packet{20};
  packet.insert(packet.end(), 16, 0xcc);
  for (const std::string_view names :
       {"kex-a,kex-b", "key-a", "c1,c2", "c3", "m1", "m2", "none", "none", "", ""}) {
    tunnel::ssh::put_string(packet, names);
  }
  packet.insert(packet.end(), 5, 0);
  base::Buffer body{4};
  base::append(body, packet);
  body.insert(body.end(), 4, 0);
  base::Buffer all;
  base::append(all, base::bytes_of("Welcome\r\nSSH-2.0-Test_1 x\r\n"));
  tunnel::ssh::put_string(all, base::Bytes(body));
  base::append(all, base::bytes_of("and then secret bytes"));
  for (std::size_t split = 0; split <= all.size(); ++split) {
    tunnel::ssh::Greeting greeting;
    greeting.feed(base::Bytes(all).first(split));
    greeting.feed(base::Bytes(all).subspan(split));
    CHECK(greeting.notice() == "Welcome");
    CHECK(greeting.version() == "SSH-2.0-Test_1 x");
    REQUIRE(greeting.algorithms().has_value());
    CHECK(greeting.algorithms()->key_exchange == "kex-a,kex-b");
    CHECK(greeting.algorithms()->host_key == "key-a");
    CHECK(greeting.algorithms()->cipher == "c1,c2");
    CHECK(greeting.algorithms()->mac == "m1");
  }
}

TEST_CASE("ssh greeting: what is no ssh server is not read for ever") {
  tunnel::ssh::Greeting lines;
  for (int i = 0; i < 1000; ++i) lines.feed(base::bytes_of(std::string(1000, 'x') + "\n"));
  CHECK(lines.notice().size() == 1000);
  CHECK(lines.version().empty());
  tunnel::ssh::Greeting endless;
  for (int i = 0; i < 1000; ++i) endless.feed(base::bytes_of(std::string(1000, 'x')));
  CHECK(endless.notice().empty());
  tunnel::ssh::Greeting garbage;
  garbage.feed(base::bytes_of("SSH-2.0-x\n\xff\xff\xff\xff"));
  CHECK_FALSE(garbage.algorithms().has_value());
  tunnel::ssh::Greeting other;
  other.feed(base::bytes_of(std::string("SSH-2.0-x\n\0\0\0\2\0\1", 16)));
  CHECK_FALSE(other.algorithms().has_value());
}

TEST_CASE("ssh greeting: algorithms that have nothing in common are named") {
  using tunnel::ssh::Algorithms;
  using tunnel::ssh::nothing_in_common;
  const Algorithms ours{"k1,k2", "h1,h2", "aes256-ctr,aes256-gcm@openssh.com", "m1"};
  CHECK(nothing_in_common({"k2", "h1", "aes256-ctr", "m1"}, ours).empty());
  const auto host_key = nothing_in_common({"k2", "h3,h4", "aes256-ctr", "m1"}, ours);
  REQUIRE(host_key.size() == 1);
  CHECK(host_key[0].kind == "host key");
  CHECK(host_key[0].server == "h3,h4");
  CHECK(host_key[0].ours == "h1,h2");
  const auto two = nothing_in_common({"", "h1", "aes256-ctr", "m9"}, ours);
  REQUIRE(two.size() == 2);
  CHECK(two[0].key == "KexAlgorithms");
  CHECK(two[1].key == "MACs");
  CHECK(nothing_in_common({"k2", "h1", "aes256-gcm@openssh.com", "m9"}, ours).empty());
  CHECK_FALSE(nothing_in_common({"k", "h1", "aes256-ctr", "m1"}, ours).empty());
}
