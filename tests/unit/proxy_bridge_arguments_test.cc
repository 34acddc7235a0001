// The bridge understands the arguments that libvirt gives to ssh, virt-ssh-helper and netcat, and
// names each argument of ssh that it does not take.
#include <algorithm>
#include <vector>

#include "proxy/command/bridge_arguments.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/resolve_cases.h"

namespace {

using Words = std::vector<std::string>;

const std::string kCommand = "sh -c 'virt-ssh-helper 'qemu:///system''";

std::string ssh_error(const Words& words) {
  const auto request = proxy::parse_ssh_arguments(words);
  return request ? "" : request.error();
}

}  // namespace

TEST_CASE("the arguments that libvirt was seen to give to ssh are understood",
          "[bridge_arguments]") {
  std::size_t understood = 0;
  for (const test::ResolveCase& one : test::ssh_cases()) {
    if (one.command.size() < 2) continue;
    const Words words(one.command.begin() + 1, one.command.end());
    const bool verifies =
        std::find(words.begin(), words.end(), "StrictHostKeyChecking=no") == words.end();
    const auto request = proxy::parse_ssh_arguments(words);
    INFO(words.back());
    CHECK(proxy::are_for_ssh(words));
    if (!verifies) CHECK_FALSE(request);
    if (!request) continue;
    ++understood;
    CHECK(request->login.host == words[words.size() - 2]);
    conf::SshLogin login = request->login;
    login.program = one.command.front();
    CHECK(conf::ssh_arguments(login, words.back()) == one.command);
  }
  CHECK(understood > 10);
}

TEST_CASE("each argument of ssh has its place", "[bridge_arguments]") {
  const Words words = {"-p", "2222", "-l", "u@dom",         "-i", "/k f", "-T",
                       "-e", "none", "-o", "BatchMode=yes", "--", "::1",  kCommand};
  const auto request = proxy::parse_ssh_arguments(words);
  REQUIRE(request);
  CHECK(request->login.port == 2222);
  CHECK(request->login.user == "u@dom");
  CHECK(request->login.keyfile == "/k f");
  CHECK(request->login.no_tty);
  CHECK(request->login.host == "::1");
  CHECK(request->command.name == "qemu:///system");
  CHECK(request->command.helper == tunnel::RemoteProxy::native);

  const auto least = proxy::parse_ssh_arguments(Words{"h", kCommand});
  REQUIRE(least);
  CHECK(least->login.port == 0);
  CHECK_FALSE(least->login.keyfile);
  CHECK(proxy::parse_ssh_arguments(Words{"--", "-h", kCommand})->login.host == "-h");
  CHECK(proxy::parse_ssh_arguments(Words{"-o", "stricthostkeychecking=yes", "h", kCommand}));
}

TEST_CASE("what ssh would understand and we do not is named", "[bridge_arguments]") {
  struct Row {
    Words words;
    std::string part;
  };
  const auto row = GENERATE(values<Row>({
      {{}, "no host"},
      {{"--"}, "no host"},
      {{"-T", "--", ""}, "no host"},
      {{"h"}, "no remote command"},
      {{"h", "sh", "-c"}, "more than one"},
      {{"h", "id"}, "\"id\" is not a command"},
      {{"-p"}, "-p needs a value"},
      {{"-p", ""}, "-p needs a value"},
      {{"-p", "0", "h", kCommand}, "no port"},
      {{"-p", "65536", "h", kCommand}, "no port"},
      {{"-p", "22x", "h", kCommand}, "no port"},
      {{"-p22", "h", kCommand}, "\"-p22\""},
      {{"-e", "~", "h", kCommand}, "escape"},
      {{"-v", "h", kCommand}, "\"-v\""},
      {{"-L", "1:h:2", "h", kCommand}, "\"-L\""},
      {{"-oBatchMode=yes", "h", kCommand}, "\"-oBatchMode=yes\""},
      {{"-o", "ProxyCommand=id", "h", kCommand}, "ProxyCommand=id"},
      {{"-o", "BatchMode=maybe", "h", kCommand}, "BatchMode=maybe"},
      {{"-o", "BatchMode", "h", kCommand}, "BatchMode"},
      {{"-o", "StrictHostKeyChecking=no", "h", kCommand}, "always verified"},
      {{"-o", "StrictHostKeyChecking=accept-new", "h", kCommand}, "always verified"},
      {{"--unfiltered", "h", kCommand}, "\"--unfiltered\""},
  }));
  INFO(row.part);
  CHECK(ssh_error(row.words).find(row.part) != std::string::npos);
}

TEST_CASE("virtgate's own arguments are not taken for those of ssh", "[bridge_arguments]") {
  for (const char* word : {"-v", "--verbose", "-h", "--help", "--version", "serve", "bridge", "--",
                           "", "-P", "-pp", "h"}) {
    CHECK_FALSE(proxy::are_for_ssh(Words{word}));
  }
  CHECK_FALSE(proxy::are_for_ssh(Words{}));
  for (const char* word : {"-p", "-l", "-i", "-T", "-e", "-o"}) {
    CHECK(proxy::are_for_ssh(Words{word}));
  }
}

TEST_CASE("virt-ssh-helper's arguments", "[bridge_arguments]") {
  for (const Words& words :
       {Words{"u"}, Words{"-r", "u"}, Words{"--readonly", "u"}, Words{"-r", "--", "u"}}) {
    const auto uri = proxy::parse_helper_arguments(words);
    REQUIRE(uri);
    CHECK(*uri == "u");
  }
  CHECK(proxy::parse_helper_arguments(Words{""})->empty());
  for (const Words& words : {Words{}, Words{"-r"}, Words{"a", "b"}, Words{"--unfiltered", "u"},
                             Words{"-x", "u"}, Words{"--"}}) {
    CHECK_FALSE(proxy::parse_helper_arguments(words));
  }
}

TEST_CASE("netcat's arguments", "[bridge_arguments]") {
  for (const Words& words : {Words{"-U", "/s"}, Words{"-q0", "-U", "/s"},
                             Words{"-q", "0", "-U", "/s"}, Words{"-U", "/s", "-q10"}}) {
    const auto socket = proxy::parse_netcat_arguments(words);
    REQUIRE(socket);
    CHECK(*socket == "/s");
  }
  const auto probe = proxy::parse_netcat_arguments(Words{"-q"});
  REQUIRE_FALSE(probe);
  CHECK(probe.error().find("requires an argument") != std::string::npos);
  for (const Words& words :
       {Words{}, Words{"-U"}, Words{"-q0"}, Words{"-qx", "-U", "/s"}, Words{"/s"},
        Words{"-U", "/s", "/t"}, Words{"-U", "/s", "-U", "/t"}, Words{"-e", "sh", "-U", "/s"},
        Words{"-l", "-U", "/s"}, Words{"-U/s"}, Words{"host", "22"}}) {
    CHECK_FALSE(proxy::parse_netcat_arguments(words));
  }
}
