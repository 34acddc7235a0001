// Drop-ins are read by name after the main file, a broken file hides no mistakes of the others, and
// the reference configuration has every key with its default.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "conf/config.h"
#include "conf/named_paths.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"

namespace {

using Texts = std::vector<std::string>;

conf::Loaded load(const test::TemporaryFolder& folder) {
  return conf::load_config(folder.path() + "/main.toml", folder.path() + "/conf.d", {});
}

// Without the folder's name.
Texts mistakes(const test::TemporaryFolder& folder) {
  const std::string prefix = folder.path() + '/';
  Texts out;
  for (const conf::Mistake& mistake : load(folder).mistakes) {
    std::string text = to_string(mistake);
    for (std::size_t at = 0; (at = text.find(prefix)) != std::string::npos;) {
      text.erase(at, prefix.size());
    }
    out.push_back(text);
  }
  return out;
}

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  INFO(path);
  REQUIRE_FALSE(text.str().empty());
  return text.str();
}

// The reference configuration with every setting in force that a # alone takes out of it.
std::string uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
    out += line + '\n';
  }
  return out;
}

constexpr const char* kReference = "packaging/virtgate.toml";

}  // namespace

TEST_CASE("drop-ins come after the file, by name", "[conf][files]") {
  const test::TemporaryFolder files;
  files.write("main.toml",
              "[[listen]]\npath = \"/s\"\ntarget = \"c\"\n[targets]\nb = \"qemu:///system\"\n"
              "[limits]\nclients = 1\nclients_per_user = 1\n[policy]\nopen_uris = [\"*://1*/\"]\n"
              "[[policy.rule]]\ntargets = [\"a\"]\nallow = []\n");
  files.write("conf.d/20.toml",
              "[targets]\nc = \"qemu:///session\"\n[limits]\nclients = 20\nmax_call = 8192\n"
              "[policy]\nopen_uris = [\"*://3*/\"]\n");
  files.write("conf.d/10.toml",
              "[[listen]]\npath = \"/t\"\n[targets]\na = \"xen:///\"\n[limits]\nclients = 10\n"
              "max_call = 4096\n[policy]\nopen_uris = [\"*://2*/\"]\n[[policy.rule]]\n"
              "targets = [\"c\"]\nallow = []\n");
  files.write("conf.d/30.conf", "not read");
  files.write("conf.d/.40.toml", "not read");
  const conf::Loaded loaded = load(files);
  for (const conf::Mistake& mistake : loaded.mistakes) UNSCOPED_INFO(to_string(mistake));
  REQUIRE(loaded.mistakes.empty());
  const conf::Config& config = loaded.config;
  REQUIRE(config.targets.size() == 3);
  CHECK(config.targets[0].name == "b");
  CHECK(config.targets[1].name == "a");
  CHECK(config.targets[2].name == "c");
  CHECK(config.listen.size() == 2);
  CHECK(config.limits.clients == 20);
  CHECK(config.limits.clients_per_user == 1);
  CHECK(config.limits.max_call == 8192);
  REQUIRE(config.rules.open_uris.size() == 3);
  CHECK(config.rules.open_uris[1].pattern.host == "2*");
  REQUIRE(config.rules.rules.size() == 2);
  CHECK(config.rules.rules[0].targets == Texts{"a"});
}

TEST_CASE("a file alone is enough", "[conf][files]") {
  const test::TemporaryFolder files;
  files.write("main.toml", "[[listen]]\npath = \"/s\"\n[targets]\na = \"xen:///\"\n");
  CHECK(mistakes(files).empty());
}

TEST_CASE("files that cannot be read are mistakes", "[conf][files]") {
  const test::TemporaryFolder files;
  CHECK(mistakes(files) == Texts{"main.toml: cannot be read: No such file or directory"});
  files.make_folder("main.toml");
  files.make_folder("conf.d/10.toml");
  CHECK(mistakes(files) ==
        Texts{"main.toml: is not a regular file", "conf.d/10.toml: is not a regular file"});
}

TEST_CASE("a drop-in that is a file instead of a folder is a mistake", "[conf][files]") {
  const test::TemporaryFolder files;
  files.write("main.toml", "[[listen]]\npath = \"/s\"\n[targets]\na = \"xen:///\"\n");
  files.write("conf.d", "");
  CHECK(mistakes(files) == Texts{"conf.d: cannot be read: Not a directory"});
}

TEST_CASE("a file has a size", "[conf][files]") {
  const test::TemporaryFolder files;
  std::string text = "[[listen]]\npath = \"/s\"\n[targets]\na = \"xen:///\"\n#";
  text.resize(conf::kLargestConfig, 'x');
  files.write("main.toml", text);
  CHECK(mistakes(files).empty());
  files.write("main.toml", text + "x");
  CHECK(mistakes(files) == Texts{"main.toml: is larger than 1048576 bytes"});
}

TEST_CASE("one broken file does not hide the mistakes of the others", "[conf][files]") {
  const test::TemporaryFolder files;
  files.write("main.toml", "[[listen]]\npath = \"/s\"\ntarget = \"in the broken file\"\nx = 1\n");
  files.write("conf.d/10.toml", "[targets\n");
  files.write("conf.d/20.toml", "[targets]\na = \"xen:///\"\nb = 5\n");
  files.write("conf.d/30.toml", "\n\n[targets]\na = \"xen:///\"\n[limits]\nclients = 0\n");
  const Texts found = mistakes(files);
  REQUIRE(found.size() == 5);
  CHECK(found[0] ==
        "main.toml:4:1: unknown key \"x\" in [[listen]]; known are path, mode, group, target, "
        "protocol, abi");
  CHECK_THAT(found[1], Catch::StartsWith("conf.d/10.toml:1:9: "));
  CHECK_THAT(found[2], Catch::StartsWith("conf.d/20.toml:3:5: \"b\" is an integer"));
  CHECK(found[3] ==
        "conf.d/30.toml:4:1: there is a target \"a\" already, in conf.d/20.toml line 2");
  CHECK(found[4] == "conf.d/30.toml:6:11: \"clients\" is 0; it must be from 1 to 1000000");
}

TEST_CASE("a mistake is shown on one line", "[conf][files]") {
  CHECK(to_string(conf::Mistake{{}, "x"}) == "x");
  CHECK(to_string(conf::Mistake{{"f"}, "x"}) == "f: x");
  CHECK(to_string(conf::Mistake{{"f", 3}, "x"}) == "f:3: x");
  CHECK(to_string(conf::Mistake{{"f\n", 3, 4}, "x"}) == "f\n:3:4: x");
}

TEST_CASE("the reference configuration is right, and its values are the defaults",
          "[conf][files]") {
  const std::string text = text_of_file(kReference);
  const conf::Loaded loaded = conf::parse_config(text, kReference, {});
  for (const conf::Mistake& mistake : loaded.mistakes) UNSCOPED_INFO(to_string(mistake));
  REQUIRE(loaded.mistakes.empty());
  const conf::Limits& limits = loaded.config.limits;
  const conf::Limits defaults;
  CHECK(limits.clients == defaults.clients);
  CHECK(limits.clients_per_user == defaults.clients_per_user);
  CHECK(limits.calls_per_client == defaults.calls_per_client);
  CHECK(limits.registrations_per_client == defaults.registrations_per_client);
  CHECK(limits.client_buffer == defaults.client_buffer);
  CHECK(limits.user_buffer == defaults.user_buffer);
  CHECK(limits.user_log == defaults.user_log);
  CHECK(limits.user_audit == defaults.user_audit);
  CHECK(limits.max_message == defaults.max_message);
  CHECK(limits.max_call == defaults.max_call);
  CHECK(limits.open_timeout == defaults.open_timeout);
  CHECK(limits.write_timeout == defaults.write_timeout);
  CHECK(limits.drain_timeout == defaults.drain_timeout);
  CHECK(limits.keepalive_interval == defaults.keepalive_interval);
  CHECK(limits.keepalive_count == defaults.keepalive_count);
  CHECK(loaded.config.listen[0].mode == conf::Listen{}.mode);
}

TEST_CASE("the examples of the reference configuration are right too", "[conf][files]") {
  const std::string text = uncommented(text_of_file(kReference));
  const conf::Loaded loaded = conf::parse_config(text, kReference, {});
  // Not every host has these accounts.
  for (const conf::Mistake& warning : loaded.warnings) {
    if (!warning.lapsed) continue;
    CHECK_THAT(warning.text,
               Catch::Contains("there is no group \"") || Catch::Contains("there is no user \""));
  }
  CHECK(loaded.mistakes.empty());
  const conf::TargetConfig* rain = loaded.config.find("rain");
  REQUIRE(rain != nullptr);
  const conf::TargetConfig defaults;
  CHECK(rain->upstreams == defaults.upstreams);
  CHECK(rain->open_timeout == defaults.open_timeout);
  CHECK(rain->call_timeout == defaults.call_timeout);
  CHECK(rain->retry_timeout == defaults.retry_timeout);
  CHECK(rain->idle_timeout == defaults.idle_timeout);
  CHECK(rain->max_age == defaults.max_age);
  CHECK(rain->stats_nowait == defaults.stats_nowait);
  CHECK(rain->keepalive_interval == defaults.keepalive_interval);
  CHECK(rain->keepalive_count == defaults.keepalive_count);
  CHECK(rain->keepalive_interval * (rain->keepalive_count + 1) < rain->call_timeout);
  CHECK(rain->tunnel.timeouts.connect == defaults.tunnel.timeouts.connect);
  CHECK(rain->tunnel.insecure);
  CHECK(rain->tunnel.timeouts.handshake == defaults.tunnel.timeouts.handshake);
  CHECK(loaded.config.targets.size() == 6);
  CHECK(loaded.config.rules.rules.size() == 1);
}

TEST_CASE("the reference configuration has every key", "[conf][files]") {
  const std::string text = '\n' + uncommented(text_of_file(kReference));
  for (const char* key : {"path",
                          "mode",
                          "group",
                          "target",
                          "uri",
                          "upstreams",
                          "call_timeout",
                          "open_timeout",
                          "retry_timeout",
                          "idle_timeout",
                          "max_age",
                          "stats_nowait",
                          "connect_timeout",
                          "login_timeout",
                          "passphrase_file",
                          "forward",
                          "insecure",
                          "open_uris",
                          "users",
                          "groups",
                          "targets",
                          "allow",
                          "deny",
                          "calls_per_second",
                          "calls_in_flight",
                          "queue",
                          "file",
                          "calls",
                          "sync",
                          "clients",
                          "clients_per_user",
                          "open_targets",
                          "open_targets_per_user",
                          "calls_per_client",
                          "registrations_per_client",
                          "client_buffer",
                          "user_buffer",
                          "buffer",
                          "user_log",
                          "user_audit",
                          "max_message",
                          "max_call",
                          "write_timeout",
                          "drain_timeout",
                          "keepalive_interval",
                          "keepalive_count"}) {
    CAPTURE(key);
    CHECK(text.find('\n' + std::string(key) + " = ") != std::string::npos);
  }
}

TEST_CASE("paths that cannot serve for what they are named for are told", "[conf][files]") {
  const test::TemporaryFolder files;
  const auto made = [&](const std::string& name, mode_t mode) {
    files.write(name, "x");
    std::string path = files.path() + "/" + name;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  };
  const std::string open = made("open", 0644);
  const std::string secret = made("secret", 0600);
  const std::string program = made("program", 0755);
  const std::string pub = made("key.pub", 0600);
  const std::string none = files.path() + "/none";
  const auto wrong = [](conf::NamedPath::Kind kind, const std::string& path) {
    const auto found = conf::missing({{kind, path, "it", {}}});
    return found.empty() ? std::string() : found.front().text;
  };
  using Kind = conf::NamedPath::Kind;
  const auto said = [&](const std::string& path, const std::string& what) {
    return "it: \"" + path + "\"" + what;
  };
  const std::string absent = ": No such file or directory";
  const std::string mode = ": mode 0644, needs 0600";

  CHECK(wrong(Kind::key, secret).empty());
  CHECK(wrong(Kind::key, open) == said(open, mode));
  CHECK(wrong(Kind::key, none) == said(none, absent));
  CHECK(wrong(Kind::key, pub) ==
        said(pub, " is the public key; name the private one, without .pub"));
  CHECK(wrong(Kind::secret, pub).empty());
  CHECK(wrong(Kind::secret, open) == said(open, mode));
  CHECK(wrong(Kind::secret, "relative").empty());
  CHECK(wrong(Kind::program, program).empty());
  CHECK(wrong(Kind::program, open) == said(open, " is not executable"));
  CHECK(wrong(Kind::program, none) == said(none, absent));
  CHECK(wrong(Kind::program, files.path()) == said(files.path(), " is not a regular file"));
  CHECK(wrong(Kind::parent, none).empty());
  CHECK(wrong(Kind::parent, open).empty());
  CHECK(wrong(Kind::parent, none + "/x") == said(none, absent));
  CHECK(wrong(Kind::parent, files.path()) ==
        "\"" + files.path() + "\" is a folder; add the name of a file or socket in it");
  CHECK(wrong(Kind::certificates, files.path()) == said(files.path(), ": cacert.pem" + absent));
  made("cacert.pem", 0644);
  CHECK(wrong(Kind::certificates, files.path()).empty());
  CHECK(wrong(Kind::certificates, open) == said(open, " is not a folder"));
}
