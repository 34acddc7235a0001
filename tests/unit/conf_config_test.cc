// A configuration becomes the values that it states, and all its mistakes are reported at once, in
// the order of their lines.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "tests/unit/support/catch.h"

namespace {

using conf::Milliseconds;
using conf::parse_config;
using Texts = std::vector<std::string>;

conf::Loaded loaded(const std::string& text) { return parse_config(text, "f", {}); }

conf::Config good(const std::string& text) {
  conf::Loaded result = loaded(text);
  for (const conf::Mistake& mistake : result.mistakes) UNSCOPED_INFO(to_string(mistake));
  REQUIRE(result.mistakes.empty());
  return std::move(result.config);
}

Texts mistakes(const std::string& text) {
  Texts out;
  for (const conf::Mistake& mistake : loaded(text).mistakes) out.push_back(to_string(mistake));
  return out;
}

constexpr const char* kNoTargets = "f: no targets: add  [targets]  NAME = \"qemu+ssh://...\"";
constexpr const char* kNoSockets =
    "f: no sockets: add  [[listen]]  path = \"/run/virtgate/virtgate-sock\"";
constexpr const char* kListen = "[[listen]]\npath = \"/s\"\n";
constexpr const char* kTargets = "[targets]\nhail = \"qemu:///system\"\n";

// A text that is right but for one line, which is the third.
Texts mistakes_in_listen(const std::string& line) {
  return mistakes("[[listen]]\npath = \"/s\"\n" + line + "\n" + kTargets);
}
Texts mistakes_in_target(const std::string& line) {
  return mistakes("[targets.hail]\nuri = \"qemu:///system\"\n" + line + "\n" + kListen);
}
Texts mistakes_in_limits(const std::string& line) {
  return mistakes("\n[limits]\n" + line + "\n" + kListen + kTargets);
}

struct OneMistake {
  const char* line;
  const char* mistake;
};

}  // namespace

TEST_CASE("a configuration becomes values", "[conf][config]") {
  const conf::Config config = good(R"(
[[listen]]
path   = "/run/virtgate/virtgate-sock"
mode   = "0666"
group  = "0"
target = "hail"
[[listen]]
path = "@virtgate"

[targets]
hail  = "qemu+ssh://monitor@hail.example.com/system?keyfile=/k"
aaa = { uri = "qemu://aaa.example.com/system", upstreams = 7, call_timeout = "31s" }
[targets.sleet]
uri = "qemu+tcp://sleet/system"
insecure = true
open_timeout = "1500ms"
retry_timeout = "0s"
idle_timeout = "1h"
max_age = "2s"
stats_nowait = true
keepalive_interval = "700ms"
keepalive_count = 2
connect_timeout = "2min"
login_timeout = "3min"
[targets.hoar]
uri = "qemu+ssh://hoar/system?keyfile=/k"
passphrase_file = "hoar"
forward = ["gate:22", "*.lan:5900-5999"]

[policy]
open_uris = ["qemu+ssh://*.example.com/system", { uri = "*+tls://x/system", local_addresses = true }]
[[policy.rule]]
users   = ["root", "12345"]
groups  = ["root"]
targets = ["*", "ha*", "qemu+ssh://monitor@*.example.com/*"]
allow   = ["DOMAIN_GET_*", "CONNECT_LIST_ALL_DOMAINS"]
deny    = ["DOMAIN_GET_XML_DESC"]
[[policy.rule]]
targets = ["aaa"]
allow = []
clients = 2
calls_per_second = 30
calls_in_flight = 4
queue = 5

[limits]
clients = 20000
client_buffer = "1GiB"
user_buffer = 65536
buffer = "1MiB"
max_call = "64KiB"
keepalive_interval = "0ms"
)");
  REQUIRE(config.listen.size() == 2);
  CHECK(config.listen[0].path == "/run/virtgate/virtgate-sock");
  CHECK(config.listen[0].mode == 0666);
  CHECK(config.listen[0].group == 0U);
  CHECK(config.listen[0].target == "hail");
  CHECK(config.listen[1].path == "@virtgate");
  CHECK(config.listen[1].mode == 0660);
  CHECK(config.listen[1].group == std::nullopt);
  CHECK(config.listen[1].target.empty());
  CHECK(config.listen[1].position.line == 7);

  REQUIRE(config.targets.size() == 4);
  CHECK(config.targets[0].name == "hail");
  CHECK(config.targets[1].name == "aaa");
  CHECK(config.targets[2].name == "sleet");
  CHECK(config.targets[0].tunnel.keyfile == "/k");
  CHECK(config.targets[0].connect_name == "qemu:///system");
  CHECK(config.targets[0].upstreams == 4);
  CHECK(config.targets[1].upstreams == 7);
  CHECK(config.targets[1].call_timeout == Milliseconds(31000));
  CHECK(config.targets[2].tunnel.insecure);
  CHECK(config.targets[2].open_timeout == Milliseconds(1500));
  CHECK(config.targets[2].retry_timeout == Milliseconds(0));
  CHECK(config.targets[2].idle_timeout == Milliseconds(3600000));
  CHECK(config.targets[2].max_age == Milliseconds(2000));
  CHECK(config.targets[2].stats_nowait);
  CHECK(config.targets[2].keepalive_interval == Milliseconds(700));
  CHECK(config.targets[2].keepalive_count == 2);
  CHECK(config.targets[1].max_age == Milliseconds(0));
  CHECK_FALSE(config.targets[1].stats_nowait);
  CHECK(config.targets[2].tunnel.timeouts.connect == Milliseconds(120000));
  CHECK(config.targets[2].tunnel.timeouts.look_up == Milliseconds(120000));
  CHECK(config.targets[2].tunnel.timeouts.handshake == Milliseconds(180000));
  CHECK(config.targets[2].tunnel.timeouts.authentication == Milliseconds(180000));
  CHECK(config.targets[2].tunnel.timeouts.channel == Milliseconds(180000));
  CHECK(config.targets[3].tunnel.passphrase_file == "hoar");
  REQUIRE(config.targets[3].forwards.size() == 2);
  CHECK(config.targets[3].forwards[1].host == "*.lan");
  CHECK(config.targets[3].forwards[1].last == 5999);
  CHECK(config.targets[2].position.line == 13);
  CHECK(config.find("aaa") == &config.targets[1]);
  CHECK(config.find("bbb") == nullptr);

  REQUIRE(config.rules.open_uris.size() == 2);
  CHECK(config.rules.open_uris[0].pattern.host == "*.example.com");
  CHECK_FALSE(config.rules.open_uris[0].local_addresses);
  CHECK(config.rules.open_uris[1].pattern.scheme == "*+tls");
  CHECK(config.rules.open_uris[1].local_addresses);
  REQUIRE(config.rules.rules.size() == 2);
  REQUIRE(config.rules.rules[0].uris.size() == 1);
  CHECK(config.rules.rules[0].uris[0].user == "monitor");
  CHECK(config.rules.rules[0].users == std::vector<std::uint32_t>{0, 12345});
  CHECK(config.rules.rules[0].groups == std::vector<std::uint32_t>{0});
  CHECK(config.rules.rules[0].targets == Texts{"*", "ha*"});
  CHECK(config.rules.rules[0].allow == Texts{"DOMAIN_GET_*", "CONNECT_LIST_ALL_DOMAINS"});
  CHECK(config.rules.rules[0].deny == Texts{"DOMAIN_GET_XML_DESC"});
  CHECK(config.rules.rules[0].place == "f line 32");
  CHECK(config.rules.rules[0].limits.clients == 0);
  CHECK(config.rules.rules[1].allow.empty());
  CHECK(config.rules.rules[1].limits.clients == 2);
  CHECK(config.rules.rules[1].limits.calls_per_second == 30);
  CHECK(config.rules.rules[1].limits.calls_in_flight == 4);
  CHECK(config.rules.rules[1].limits.queue == 5);

  CHECK(config.limits.clients == 20000);
  CHECK(config.limits.clients_per_user == 1000);
  CHECK(config.limits.client_buffer == 1U << 30);
  CHECK(config.limits.user_buffer == 65536);
  CHECK(config.limits.buffer == 1048576);
  CHECK_FALSE(conf::Limits{}.buffer);
  CHECK(config.limits.max_call == 65536);
  CHECK(config.limits.keepalive_interval == Milliseconds(0));
}

TEST_CASE("%t makes one socket for each target", "[conf][config]") {
  const conf::Config config = good(
      "[[listen]]\npath = \"/run/%t/%t.sock\"\nmode = \"0600\"\n[[listen]]\npath = \"/all\"\n"
      "[targets]\nhail = \"qemu:///system\"\n\"a.b\" = \"qemu:///session\"\n");
  REQUIRE(config.listen.size() == 3);
  CHECK(config.listen[0].path == "/run/hail/hail.sock");
  CHECK(config.listen[0].target == "hail");
  CHECK(config.listen[1].path == "/run/a.b/a.b.sock");
  CHECK(config.listen[1].target == "a.b");
  CHECK(config.listen[1].mode == 0600);
  CHECK(config.listen[2].path == "/all");
}

TEST_CASE("a socket's path can have 107 bytes", "[conf][config]") {
  for (const char* first : {"/", "@"}) {
    const std::string fits = first + std::string(106, 'a');
    CHECK(good("[[listen]]\npath = \"" + fits + "\"\n" + kTargets).listen[0].path == fits);
    CHECK(mistakes("[[listen]]\npath = \"" + fits + "a\"\n" + kTargets) ==
          Texts{"f:2:8: the path \"" + fits + "a\" has 108 bytes; a socket's path can have 107"});
  }
  const std::string path = "/" + std::string(102, 'a');
  CHECK(good("[[listen]]\npath = \"" + path + "%t\"\n" + kTargets).listen[0].path.size() == 107);
  CHECK(mistakes("[[listen]]\npath = \"" + path + "a%t\"\n" + kTargets) ==
        Texts{"f:2:8: the path \"" + path + "ahail\" has 108 bytes; a socket's path can have 107"});
}

TEST_CASE("mistakes in [[listen]] are found", "[conf][config]") {
  const OneMistake c = GENERATE(values<OneMistake>({
      {"mod = \"0600\"", "f:3:1: unknown key \"mod\" in [[listen]]; did you mean \"mode\"?"},
      {"frobnicate = 1",
       "f:3:1: unknown key \"frobnicate\" in [[listen]]; known are path, mode, group, target, "
       "protocol, abi"},
      {"mode = 438",
       "f:3:8: \"mode\" is an integer; it must be an octal mode in quotes, such as \"0660\""},
      {"mode = \"0888\"",
       "f:3:8: \"mode\" is \"0888\"; it must be an octal mode in quotes, such as \"0660\""},
      {"  mode=\"rw\"",
       "f:3:8: \"mode\" is \"rw\"; it must be an octal mode in quotes, such as \"0660\""},
      {"mode = \"1666\"",
       "f:3:8: \"mode\" is \"1666\"; it must be an octal mode in quotes, such as \"0660\""},
      {"mode = \"\"",
       "f:3:8: \"mode\" is \"\"; it must be an octal mode in quotes, such as \"0660\""},
      {"group = 0",
       "f:3:9: \"group\" is an integer; it must be the name of a group, or its number in quotes"},
      {"target = \"sleet\"", "f:3:10: there is no target \"sleet\""},
      {"target = \"*\"", "f:3:10: there is no target \"*\""},
      {"target = [\"hail\"]", "f:3:10: \"target\" is a list; it must be the name of a target"},
      {"[[listen]]", "f:3:1: [[listen]] has no \"path\""},
      {"[[listen]]\npath = true", "f:4:8: \"path\" is true or false; it must be a path in quotes"},
      {"[[listen]]\npath = \"\"", "f:4:8: the path is empty"},
      {"[[listen]]\npath = \"@\"", "f:4:8: the path \"@\" names no socket"},
      {"[[listen]]\npath = \"/run/\"", "f:4:8: the path \"/run/\" names no socket"},
      {"[[listen]]\npath = \"/a\\nb\"", "f:4:8: the path has control characters"},
      {"[[listen]]\npath = \"run/x\"",
       "f:4:8: the path \"run/x\" is relative; it must begin with /, or with @ for the abstract "
       "namespace"},
      {"[[listen]]\npath = \"/a%tb%c\"",
       "f:4:8: the path \"/a%tb%c\" has a % that is not %t, the name of a target"},
      {"[[listen]]\npath = \"/a%\"",
       "f:4:8: the path \"/a%\" has a % that is not %t, the name of a target"},
      {"[[listen]]\npath = \"/s\"", "f:4:8: there is a socket \"/s\" already, in f line 1"},
      {"[[listen]]\npath = \"/%t\"\ntarget = \"hail\"",
       "f:5:10: remove target=: %t in the path already names the target"},
  }));
  CHECK(mistakes_in_listen(c.line) == Texts{c.mistake});
}

TEST_CASE("mistakes in [targets] are found", "[conf][config]") {
  const OneMistake c = GENERATE(values<OneMistake>({
      {"upstream = 1",
       "f:3:1: unknown key \"upstream\" in target \"hail\"; did you mean \"upstreams\"?"},
      {"upstreams = 0", "f:3:13: \"upstreams\" is 0; it must be from 1 to 1000"},
      {"upstreams = 1001", "f:3:13: \"upstreams\" is 1001; it must be from 1 to 1000"},
      {"upstreams = -1", "f:3:13: \"upstreams\" is -1; it must be from 1 to 1000"},
      {"upstreams = \"4\"",
       "f:3:13: \"upstreams\" is a string; it must be an integer from 1 to 1000"},
      {"call_timeout = 30",
       "f:3:16: \"call_timeout\" is an integer; it must be a time in quotes, such as \"500ms\", "
       "\"30s\", \"5min\" or \"1h\""},
      {"call_timeout = \"30\"",
       "f:3:16: \"call_timeout\" is \"30\"; it must be a time in quotes, such as \"500ms\", "
       "\"30s\", \"5min\" or \"1h\""},
      {"call_timeout = \"99999999999999999999h\"",
       "f:3:16: \"call_timeout\" is \"99999999999999999999h\"; it must be a time in quotes, such "
       "as \"500ms\", \"30s\", \"5min\" or \"1h\""},
      {"call_timeout = \"0s\"", "f:3:16: \"call_timeout\" is \"0s\"; it must be from 1ms to 24h"},
      {"idle_timeout = \"1441min\"",
       "f:3:16: \"idle_timeout\" is \"1441min\"; it must be from 0ms to 24h"},
      {"max_age = \"6min\"", "f:3:11: \"max_age\" is \"6min\"; it must be from 0ms to 5min"},
      {"connect_timeout = 1.5",
       "f:3:19: \"connect_timeout\" is a number with a fraction; it must be a time in quotes, such "
       "as \"500ms\", \"30s\", \"5min\" or \"1h\""},
      {"passphrase_file = \"/f\"",
       "f:3:19: passphrase_file is for a target with keyfile= in its URI"},
      {"forward = [\"h:22\"]", "f:3:1: forward is for targets that are reached through ssh"},
      {"passphrase_file = \"\"", "f:3:19: passphrase_file names no file"},
      {"open_timeout = 07:32:00",
       "f:3:16: \"open_timeout\" is a date or time; it must be a time in quotes, such as "
       "\"500ms\", "
       "\"30s\", \"5min\" or \"1h\""},
      {"insecure = \"yes\"", "f:3:12: \"insecure\" is a string; it must be true or false"},
      {"[targets.sleet]", "f:3:10: target \"sleet\" has no \"uri\""},
      {"[targets]\nsleet = 5",
       "f:4:9: \"sleet\" is an integer; it must be a URI in quotes, or a table { uri = \"...\" }"},
      {"[targets]\nsleet = { uri = 5 }",
       "f:4:17: \"uri\" is an integer; it must be a URI in quotes"},
      {"[targets]\nsleet = \"qemu+foo://h/\"",
       "f:4:9: there is no transport \"foo\"; there are unix, tcp, tls, ssh, libssh, libssh2 and "
       "ext"},
      {"[targets]\nsleet = \"qemu+tcp://::1/\"",
       "f:4:9: the URI \"qemu+tcp://::1/\" cannot be parsed: more than one colon in the host; an "
       "IPv6 address needs brackets, at byte 12"},
      {"[targets]\nsleet = \"qemu+tcp://sleet/\"",
       "f:4:9: plain tcp to \"sleet\" is neither encrypted nor authenticated; set insecure = true "
       "for this target if that is meant"},
      {"[targets]\n\"a b\" = \"qemu:///system\"",
       "f:4:1: \"a b\" cannot be the name of a target; it must be of letters, digits, _ . and -, "
       "and not begin with -"},
  }));
  CHECK(mistakes_in_target(c.line) == Texts{c.mistake});
}

TEST_CASE("mistakes in [policy] are found", "[conf][config]") {
  const OneMistake c = GENERATE(values<OneMistake>({
      {"rules = []", "f:2:1: unknown key \"rules\" in [policy]; did you mean \"rule\"?"},
      {"open_uris = \"*\"", "f:2:13: \"open_uris\" is a string; it must be a list"},
      {"open_uris = [\"*://*/*\", 5]",
       "f:2:25: \"open_uris\" is an integer; it must be a pattern in quotes, or a table with a "
       "\"uri\""},
      {"open_uris = [\"hail\"]",
       "f:2:14: \"hail\" is no pattern of URIs: it must be like "
       "\"qemu+ssh://monitor@*.example.com/system\""},
      {"open_uris = [{ uri = 5 }]",
       "f:2:22: \"uri\" is an integer; it must be a pattern in quotes"},
      {"open_uris = [{ local_addresses = true }]", "f:2:14: the table has no \"uri\""},
      {"open_uris = [{ uri = \"*://*/*\", local = true }]",
       "f:2:33: unknown key \"local\" in the table; known are uri, local_addresses"},
      {"[[policy.rule]]\nallow = []\ntargets = [\"qemu+ssh://*\"]",
       "f:4:12: \"qemu+ssh://*\" is no pattern of URIs: it has no path"},
      {"[[policy.rule]]\nallow = []\ntargets = [\"qemu+ssh://*/*\"]",
       "f:4:12: \"qemu+ssh://*/*\" is a pattern of URIs, and no open_uris let clients name any"},
      {"rule = 5", "f:2:1: \"rule\" is an integer; write [[policy.rule]] with two brackets"},
      {"[policy.rule]", "f:2:9: write [[policy.rule]] with two brackets"},
      {"rule = [5]", "f:2:9: \"rule\" holds an integer; write [[policy.rule]] with two brackets"},
      {"[[policy.rule]]\nallow = []",
       "f:2:1: [[policy.rule]] has no \"targets\"; for all of them write [\"*\"], for none []"},
      {"[[policy.rule]]\ntargets = []",
       "f:2:1: [[policy.rule]] has no \"allow\"; for all of them write [\"*\"], for none []"},
      {"[[policy.rule]]\ntargets = []\nallow = []\nuser = []",
       "f:5:1: unknown key \"user\" in [[policy.rule]]; did you mean \"users\"?"},
      {"[[policy.rule]]\ntargets = []\nallow = [\"domain_get_*\"]",
       "f:4:10: \"domain_get_*\" cannot be the name of a procedure; it must be of capital letters, "
       "digits, _ and *, such as \"DOMAIN_GET_*\""},
      {"[[policy.rule]]\ntargets = []\nallow = []\ndeny = [\"*\", \"\"]",
       "f:5:14: \"\" cannot be the name of a procedure; it must be of capital letters, digits, _ "
       "and *, such as \"DOMAIN_GET_*\""},
      {"[[policy.rule]]\ntargets = []\nallow = []\nusers = []",
       "f:5:9: \"users\" names nobody; without it the rule is for all"},
      {"[[policy.rule]]\ntargets = [\"hail\", \"sleet\"]\nallow = []",
       "f:3:20: there is no target \"sleet\""},
      {"[[policy.rule]]\ntargets = [\"h*l\", \"s*\"]\nallow = []",
       "f:3:19: no target's name is like \"s*\""},
  }));
  CHECK(mistakes("[policy]\n" + std::string(c.line) + "\n" + kListen + kTargets) ==
        Texts{c.mistake});
}

TEST_CASE("how soon records of the audit are on the disk", "[conf][config]") {
  const auto sync = [](const std::string& keys) {
    const conf::Loaded loaded = conf::parse_config(
        "[audit]\n" + keys +
            "\n[[listen]]\npath = \"/s\"\n[targets]\nhail = \"test+unix:///default\"",
        "f", {});
    std::string mistakes;
    for (const conf::Mistake& one : loaded.mistakes) mistakes += to_string(one) + '\n';
    if (!mistakes.empty()) return mistakes;
    const auto value = loaded.config.audit.sync;
    return value ? std::to_string(value->count()) : std::string("none");
  };
  CHECK(sync("") == "1000");
  CHECK(sync("sync = \"no\"") == "none");
  CHECK(sync("sync = \"each\"") == "0");
  CHECK(sync("sync = \"5s\"") == "5000");
  CHECK(sync("sync = \"1ms\"").starts_with("f:2:8: \"sync\" is \"1ms\"; it must be from 10ms to"));
  CHECK(sync("sync = \"often\"").starts_with("f:2:8: \"sync\" is \"often\"; it must be"));
}

TEST_CASE("mistakes in [limits] are found", "[conf][config]") {
  const OneMistake c = GENERATE(values<OneMistake>({
      {"client = 5", "f:3:1: unknown key \"client\" in [limits]; did you mean \"clients\"?"},
      {"clients = 0", "f:3:11: \"clients\" is 0; it must be from 1 to 1000000"},
      {"clients = true",
       "f:3:11: \"clients\" is true or false; it must be an integer from 1 to 1000000"},
      {"clients = -9223372036854775808",
       "f:3:11: \"clients\" is -9223372036854775808; it must be from 1 to 1000000"},
      {"max_message = \"33MiB\"",
       "f:3:15: \"max_message\" is \"33MiB\"; it must be from 64KiB to 33554436"},
      {"client_buffer = -1", "f:3:17: \"client_buffer\" is -1; it must be from 64KiB to 1GiB"},
      {"client_buffer = 16.5",
       "f:3:17: \"client_buffer\" is a number with a fraction; it must be a number of bytes, or a "
       "size in quotes such as \"64KiB\", \"16MiB\" or \"1GiB\""},
      {"client_buffer = \"16MB\"",
       "f:3:17: \"client_buffer\" is \"16MB\"; it must be a number of bytes, or a size in quotes "
       "such as \"64KiB\", \"16MiB\" or \"1GiB\""},
      {"user_buffer = \"99999999999999999999GiB\"",
       "f:3:15: \"user_buffer\" is \"99999999999999999999GiB\"; it must be a number of bytes, or a "
       "size in quotes such as \"64KiB\", \"16MiB\" or \"1GiB\""},
      {"write_timeout = \"0ms\"",
       "f:3:17: \"write_timeout\" is \"0ms\"; it must be from 1ms to 24h"},
  }));
  CHECK(mistakes_in_limits(c.line) == Texts{c.mistake});
}

TEST_CASE("mistakes of the whole file are found", "[conf][config]") {
  struct Case {
    std::string text;
    Texts mistakes;
  };
  const std::string listen = kListen;
  const std::string targets = kTargets;
  const Case c = GENERATE_COPY(values<Case>({
      {"", {kNoTargets, kNoSockets}},
      {listen, {kNoTargets}},
      {listen + "[targets]\n", {kNoTargets}},
      {targets, {kNoSockets}},
      {"listen = []\n" + targets, {kNoSockets}},
      {"[listen]\npath = \"/s\"\n" + targets, {"f:1:2: write [[listen]] with two brackets"}},
      {"target = 5\n" + listen + targets,
       {"f:1:1: unknown key \"target\" in the file; did you mean \"targets\"?"}},
      {"limits = 5\n" + listen + targets,
       {"f:1:10: \"limits\" is an integer; it must be a table; write [limits] above its keys"}},
      {"policy = 5\n" + listen + targets,
       {"f:1:10: \"policy\" is an integer; it must be a table; write [policy] above its keys"}},
      {listen + targets + "hail = \"qemu:///session\"\n",
       {"f:5:1: the key hail is defined twice; first at line 4"}},
      {listen + targets + "  \"hail\"   =\"qemu:///session\"\n",
       {"f:5:3: the key \"hail\" is defined twice; first at line 4"}},
      {listen + "[targets]\nhail = \n", {"f:4:8: the key has no value"}},
      {"[[listen]]\npath = \u201c/s\u201d\n", {"f:2:8: a string needs straight quotes: \"...\""}},
      {"[policy]\nopen_uris = [\u2018/s\u2019]\n",
       {"f:2:14: a string needs straight quotes: \"...\""}},
      {"[policy]\nopen_uris = oops\u2018\n",
       {"f:2:13: Error while parsing value: could not determine value type"}},
  }));
  CHECK(mistakes(c.text) == c.mistakes);
}

TEST_CASE("all mistakes are reported at once, in the order of their lines", "[conf][config]") {
  CHECK(
      mistakes(R"([limits]
clients = "many"
wat = 1
[[listen]]
path = "relative"
mode = "9"
[[listen]]
[[listen]]
path = "/%t"
[[listen]]
path = "/hail"
target = "nobody"
[targets]
hail = "qemu:///system"
sleet = { uri = "nothing", upstreams = 0, colour = "red" }
-rain = { upstreams = 5 }
[policy]
open_uris = 1
[[policy.rule]]
users = ["no such user", 1]
targets = ["snow*"]
)") ==
      Texts{
          "f:2:11: \"clients\" is a string; it must be an integer from 1 to 1000000",
          "f:3:1: unknown key \"wat\" in [limits]; known are clients, clients_per_user, "
          "calls_per_client, registrations_per_client, open_targets, open_targets_per_user, "
          "keepalive_count, client_buffer, user_buffer, user_log, user_audit, buffer, "
          "max_message, max_call, open_timeout, write_timeout, drain_timeout, keepalive_interval",
          "f:5:8: the path \"relative\" is relative; it must begin with /, or with @ for the "
          "abstract namespace",
          "f:6:8: \"mode\" is \"9\"; it must be an octal mode in quotes, such as \"0660\"",
          "f:7:1: [[listen]] has no \"path\"",
          "f:11:8: there is a socket \"/hail\" already, in f line 8",
          "f:12:10: there is no target \"nobody\"",
          "f:15:17: the URI \"nothing\" cannot be parsed: the URI does not begin with a driver "
          "and a colon, as qemu: does, at byte 8",
          "f:15:40: \"upstreams\" is 0; it must be from 1 to 1000",
          "f:15:43: unknown key \"colour\" in target \"sleet\"; known are uri, spare, "
          "calls_per_subject, overdue_calls, upstreams, call_timeout, open_timeout, retry_timeout, "
          "idle_timeout, max_age, stats_nowait, connect_timeout, login_timeout, passphrase_file, "
          "forward, insecure, keepalive_interval, keepalive_count",
          "f:16:1: \"-rain\" cannot be the name of a target; it must be of letters, digits, _ . "
          "and -, and not begin with -",
          "f:16:1: target \"-rain\" has no \"uri\"",
          "f:18:13: \"open_uris\" is an integer; it must be a list",
          "f:19:1: [[policy.rule]] has no \"allow\"; for all of them write [\"*\"], for none []",
          "f:20:26: \"users\" holds an integer; it must be a list of strings",
          "f:21:12: no target's name is like \"snow*\"",
      });
}

TEST_CASE("a star in place of users and groups is a mistake", "[conf][config]") {
  for (const std::string key : {"users", "groups"}) {
    std::string text = std::string(kListen) + kTargets;
    text += "[[policy.rule]]\ntargets = []\nallow = []\n";
    const auto found = mistakes(text + key + " = [\"*\"]\n");
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0],
               Catch::EndsWith(": \"*\" names nobody; for everybody leave out users= and groups="));
  }
}

TEST_CASE("without its group a socket is for its owner alone", "[conf][config]") {
  for (const std::string group : {"no such group", "4294967295"}) {
    std::string text = kTargets;
    for (const char* section :
         {"[[listen]]\npath = \"/s\"\n", "[[listen]]\npath = \"/r\"\nmode = \"0466\"\n",
          "[control]\n", "[metrics]\nsocket = \"/m\"\n"}) {
      text.append(section).append("group = \"").append(group).append("\"\n");
    }
    const conf::Loaded loaded = conf::parse_config(text, "f", {});
    REQUIRE(loaded.mistakes.empty());
    REQUIRE(loaded.warnings.size() == 4);
    for (const conf::Mistake& warning : loaded.warnings) {
      CHECK(warning.lapsed);
      CHECK_THAT(warning.text, Catch::EndsWith("until a restart finds this group: there is no "
                                               "group \"" +
                                               group + "\""));
    }
    CHECK_THAT(loaded.warnings[0].text,
               Catch::StartsWith("this socket is for the gate's own user alone"));
    const conf::Config& config = loaded.config;
    REQUIRE(config.listen.size() == 2);
    CHECK(config.listen[0].mode == 0600);
    CHECK(config.listen[1].mode == 0400);
    CHECK(config.metrics.mode == 0600);
    CHECK((!config.listen[0].group && !config.control.group && !config.metrics.group));
  }
  const conf::Config known =
      good("[[listen]]\npath = \"/s\"\ngroup = \"0\"\n" + std::string(kTargets));
  CHECK((known.listen[0].mode == 0660 && known.listen[0].group == 0));
}

TEST_CASE("a rule's user or group that does not exist is a warning and nobody", "[conf][config]") {
  const conf::Loaded loaded = conf::parse_config(
      std::string(kListen) + kTargets +
          "[[policy.rule]]\ntargets = []\nallow = []\nusers = [\"no such user\"]\n"
          "[[policy.rule]]\ntargets = []\nallow = []\ngroups = [\"root\", \"no such group\"]\n"
          "[[policy.rule]]\ntargets = []\nallow = []\ngroups = [\"no such group\"]\n",
      "f", {});
  REQUIRE(loaded.mistakes.empty());
  REQUIRE(loaded.warnings.size() == 3);
  CHECK_THAT(conf::to_string(loaded.warnings[0]),
             Catch::Contains("there is no user \"no such user\""));
  CHECK_THAT(conf::to_string(loaded.warnings[1]),
             Catch::Contains("there is no group \"no such group\""));
  // None of them is for everybody.
  for (const policy::AccessRule& rule : loaded.config.rules.rules) {
    CHECK(rule.users == std::vector<std::uint32_t>{policy::kUnknown});
  }
  CHECK(loaded.config.rules.rules[1].groups == std::vector<std::uint32_t>{0});
}
