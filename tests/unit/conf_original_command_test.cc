// The bridge understands SSH_ORIGINAL_COMMAND exactly as libvirt writes it, and refuses what else
// an ssh client may ask for in one line.
#include "conf/original_command.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/resolve_cases.h"

namespace {

using conf::RemoteCommand;
using tunnel::RemoteProxy;

const std::string kAutomatic = conf::remote_command(
    {RemoteProxy::automatic, "nc", "/var/run/libvirt/libvirt-sock-ro", "qemu:///system", true});
const std::string kNetcat =
    conf::remote_command({RemoteProxy::netcat, "nc", "/run/libvirt/libvirt-sock", "", false});

bool accepted(const std::string& text) { return conf::parse_original_command(text).ok(); }

void check_same(const RemoteCommand& command) {
  const std::string text = conf::remote_command(command);
  INFO(text);
  const auto parsed = conf::parse_original_command(text);
  REQUIRE(parsed);
  CHECK(parsed->helper == command.helper);
  if (command.helper != RemoteProxy::netcat) {
    CHECK(parsed->name == command.name);
    CHECK(parsed->read_only == command.read_only);
  }
  if (command.helper != RemoteProxy::native) {
    CHECK(parsed->netcat == command.netcat);
    CHECK(parsed->socket == command.socket);
  }
}

}  // namespace

TEST_CASE("what libvirt writes is read back, whatever needs quotes in it", "[original_command]") {
  const auto helper = GENERATE(RemoteProxy::automatic, RemoteProxy::native, RemoteProxy::netcat);
  const bool read_only = GENERATE(false, true);
  for (const std::string word :
       {"qemu:///system", "", "'", "''", "a'b", "'a'", "test:///default?x=a%27b", "xen:///",
        "$(touch /tmp/x)", "`id`", ";id;", "\\", "\\'", "'\\''", "a b", "\"", "-r", "a&b|c"}) {
    check_same({helper, "nc", "/var/run/libvirt/libvirt-sock", word, read_only});
    check_same({helper, word, "/s_1/p-2.a@b%c+d,e:f=g", "qemu:///system", read_only});
  }
}

TEST_CASE("the commands that libvirt was seen to send are understood", "[original_command]") {
  std::size_t commands = 0;
  for (const test::ResolveCase& one : test::ssh_cases()) {
    if (one.command.size() < 2) continue;
    ++commands;
    const std::string& text = one.command.back();
    INFO(text);
    const bool odd_socket =
        text.find("/s/p q") != std::string::npos || text.find("/s/p''") != std::string::npos;
    CHECK(accepted(text) != odd_socket);
  }
  CHECK(commands > 10);
}

TEST_CASE("the helper's words alone are understood", "[original_command]") {
  for (const std::string text :
       {"virt-ssh-helper qemu:///system", "virt-ssh-helper -r qemu:///system",
        "virt-ssh-helper 'qemu:///system'", "virt-ssh-helper -r 'test:///default?x=a'"}) {
    const auto parsed = conf::parse_original_command(text);
    REQUIRE(parsed);
    CHECK(parsed->helper == RemoteProxy::native);
    CHECK(parsed->read_only == (text.find("-r") != std::string::npos));
    CHECK(parsed->name.find(":///") != std::string::npos);
    CHECK(parsed->name.find('\'') == std::string::npos);
  }
  for (const std::string text :
       {"virt-ssh-helper", "virt-ssh-helper ", "virt-ssh-helper -r", "virt-ssh-helper --help",
        "virt-ssh-helper -r -r qemu:///system", "virt-ssh-helper  qemu:///system",
        "virt-ssh-helper qemu:///system ", "virt-ssh-helper qemu:///system; id",
        "virt-ssh-helper $(id)", "virt-ssh-helper `id`", "virt-ssh-helper a b",
        "virt-ssh-helper 'a''b'", "virt-ssh-helper 'a", "virt-ssh-helper \"a\"",
        "virt-ssh-helper a\nid", "virt-ssh-helper '-r'", "/tmp/virt-ssh-helper qemu:///system",
        "exec virt-ssh-helper qemu:///system", " virt-ssh-helper qemu:///system"}) {
    INFO(text);
    CHECK_FALSE(accepted(text));
  }
}

TEST_CASE("whatever else an ssh client may ask for is refused", "[original_command]") {
  const std::string helper = "sh -c 'virt-ssh-helper ";
  for (const std::string& text : std::vector<std::string>{
           "",
           "sh",
           "id",
           "bash -i",
           "scp -t /",
           "internal-sftp",
           "/usr/lib/openssh/sftp-server",
           "virtgate bridge --unfiltered qemu:///system",
           "nc -U /var/run/libvirt/libvirt-sock",
           helper + "'qemu:///system''; id",
           helper + "'qemu:///system'' ; id",
           helper + "'qemu:///system'; id'",
           helper + "'qemu:///system' && id'",
           helper + "'$(id)''",
           helper + "'`id`''",
           helper + "'a b''",
           helper + "qemu:///system'",
           helper + "'qemu:///system\n''",
           helper + "-r -r 'qemu:///system''",
           helper + "--help'",
           "sh -c 'virt-ssh-helper",
           "sh -c '/tmp/virt-ssh-helper 'qemu:///system''",
           "sh  -c 'virt-ssh-helper 'qemu:///system''",
           "sh -c \"virt-ssh-helper 'qemu:///system'\"",
           "sh -c 'virt-ssh-helper 'qemu:///system'''",
           "SH -c 'virt-ssh-helper 'qemu:///system''",
           "sh -c 'virt-ssh-helper '''\\''a''b'\\''''",
           "x=1 " + kAutomatic,
           kAutomatic + " ",
           kAutomatic + "\n",
           kAutomatic + kAutomatic,
           "\n" + kAutomatic,
       }) {
    INFO(text);
    CHECK_FALSE(accepted(text));
  }
}

TEST_CASE("a socket that a shell would read is refused", "[original_command]") {
  for (const auto helper : {RemoteProxy::netcat, RemoteProxy::automatic}) {
    CHECK(accepted(conf::remote_command({helper, "nc", "/s", "qemu:///system", false})));
    for (const std::string socket :
         {"",       "s",     "-e/bin/sh", "/s p", "/s;id",   "/s'",   "/s$(id)", "/s`id`",
          "/s\nid", "/s|id", "/s&id",     "/s>x", "/s<x",    "/s\\",  "/s\"",    "/s*",
          "/s?",    "/s#",   "/s~",       "/s!",  "/s{a,b}", "/s[a]", "/s\x7f",  "/s\xc3\xa4"}) {
      INFO(socket);
      CHECK_FALSE(accepted(conf::remote_command({helper, "nc", socket, "qemu:///system", false})));
    }
  }
}

TEST_CASE("every cut and every changed byte is refused or says something else",
          "[original_command]") {
  for (const std::string& good : {kAutomatic, kNetcat}) {
    REQUIRE(accepted(good));
    for (std::size_t cut = 0; cut < good.size(); ++cut) CHECK_FALSE(accepted(good.substr(0, cut)));
    const RemoteCommand meant = conf::parse_original_command(good).value();
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const char c : {'\'', ';', '$', '`', '\n', ' ', '\\', '"', '&', 'x'}) {
        if (good[at] == c) continue;
        std::string changed = good;
        changed[at] = c;
        const auto parsed = conf::parse_original_command(changed);
        if (!parsed) continue;
        INFO(changed);
        CHECK((parsed->name != meant.name || parsed->socket != meant.socket ||
               parsed->netcat != meant.netcat));
      }
    }
  }
}

TEST_CASE("long commands and control characters are refused in one line", "[original_command]") {
  const std::string longest(conf::kLongestOriginalCommand, 'a');
  for (const std::string& text :
       {longest, longest + 'a', "sh -c 'virt-ssh-helper '" + std::string(70000, '\'') + "''",
        std::string("id\nrm -rf /\x1b[2J\xff"),
        conf::remote_command({RemoteProxy::native, "nc", "", "a\nb", false}),
        conf::remote_command({RemoteProxy::netcat, "n\tc", "/s", "", false})}) {
    const auto parsed = conf::parse_original_command(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().size() < 1000);
  }
}
