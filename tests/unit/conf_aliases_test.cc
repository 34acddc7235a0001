// A client resolves each generated alias to the gate's socket and the target's name, and aliases
// that are added to a libvirt.conf leave its other lines as they are.
#include "conf/aliases.h"
#include "conf/config.h"
#include "conf/resolve.h"
#include "tests/unit/support/catch.h"

namespace {

conf::Config config_of(const std::string& targets) {
  const conf::Loaded loaded =
      conf::parse_config("[[listen]]\npath = \"/s\"\n[targets]\n" + targets, "test.toml");
  for (const auto& mistake : loaded.mistakes) FAIL(conf::to_string(mistake));
  return loaded.config;
}

// What a client makes of a name with these lines as its libvirt.conf.
conf::Resolution client(const std::string& lines, const std::string& name) {
  const auto libvirt = conf::parse_libvirt_conf(lines);
  INFO(lines);
  REQUIRE(libvirt);
  return conf::resolve({name, conf::kConnectReadOnly}, {}, *libvirt,
                       [](const std::string&) { return true; });
}

}  // namespace

TEST_CASE("an alias leads to the gate's socket and names the target") {
  const conf::Config config = config_of(
      "hail = \"qemu+ssh://hail.example.com/system\"\n"
      "sleet-2 = \"xen+tls://sleet.example.com/?x=1\"\n"
      "_fog = \"qemu+ssh://fog/system?name=test:///default\"\n"
      "rime = \"remote+ssh://rime/\"\n"
      "dew = \"test+unix:///a%20b%22c'd?socket=/s\"\n");
  const std::string socket = "/run/virtgate/virtgate-sock";
  const std::string lines = conf::alias_lines(config, socket);
  CHECK(lines.find("\"hail=qemu+unix:///system?socket=/run/virtgate/virtgate-sock&name=hail\"") !=
        std::string::npos);
  for (const conf::TargetConfig& target : config.targets) {
    const conf::Resolution resolution = client(lines, target.name);
    INFO(target.name << ": " << resolution.uri);
    CHECK(resolution.error.value_or("") == "");
    CHECK(resolution.alias == target.name);
    CHECK(resolution.transport == "unix");
    CHECK(resolution.socket == socket);
    CHECK(resolution.name == target.name);
  }
  CHECK(client(lines, "sleet-2").driver == "xen");
  CHECK(client(lines, "_fog").driver == "test");
  CHECK(client(lines, "_fog").path == "/default");
  CHECK(client(lines, "rime").driver == "remote");
  CHECK(client(lines, "dew").path == "/a b\"c'd");
}

TEST_CASE("the socket's path can be any") {
  const conf::Config config = config_of("hail = \"qemu+ssh://hail.example.com/system\"\n");
  for (const std::string socket : {"@virtgate", "/a b/\"&'%2F;=#?", "/\xc3\xa9"}) {
    CHECK(client(conf::alias_lines(config, socket), "hail").socket == socket);
  }
}

TEST_CASE("names that no alias can have are left out, and a comment says so") {
  const conf::Config config = config_of(
      "\"web.1\" = \"qemu+ssh://w/system\"\n"
      "Xen = \"xen+ssh://x/system\"\n"
      "hail = \"qemu+ssh://hail.example.com/system\"\n");
  const std::string lines = conf::alias_lines(config, "/s");
  CHECK(lines.find("# \"web.1\" is left out: an alias can only have") != std::string::npos);
  CHECK(lines.find("# \"Xen\" is left out: libvirt takes this word") != std::string::npos);
  CHECK(lines.find("web.1=") == std::string::npos);
  CHECK(client(lines, "hail").name == "hail");
  CHECK(client(lines, "xen").uri == "xen:///system");
}

TEST_CASE("without targets the lines are a valid file too") {
  CHECK(conf::alias_lines({}, "/s") == "uri_aliases = [\n]\n");
  CHECK(client(conf::alias_lines({}, "/s"), "qemu:///system").error.value_or("") == "");
}

TEST_CASE("aliases go into a libvirt.conf and leave the rest as it is", "[conf][aliases]") {
  const std::string lines = "uri_aliases = [\n  \"a=test:///default\",\n]\n";
  const auto fresh = conf::with_aliases("", lines);
  REQUIRE(fresh.ok());
  CHECK_THAT(*fresh, Catch::Contains(lines));
  const auto kept = conf::with_aliases("# mine\nuri_default = \"test:///default\"", lines);
  REQUIRE(kept.ok());
  CHECK_THAT(*kept, Catch::StartsWith("# mine\nuri_default = \"test:///default\"\n"));
  // A second time replaces them, and only them.
  CHECK(*conf::with_aliases(*kept, lines) == *kept);
  const auto emptied = conf::with_aliases(*kept, "uri_aliases = [\n]\n");
  REQUIRE(emptied.ok());
  CHECK_THAT(*emptied, !Catch::Contains("test:///default\","));
  CHECK(conf::parse_libvirt_conf(*kept)->uri_aliases.size() == 1);
  // Those that somebody else wrote would hide ours, or be hidden.
  CHECK_THAT(conf::with_aliases("uri_aliases = [ \"b=test:///\" ]\n", lines).error(),
             Catch::Contains("uri_aliases already"));
  CHECK_THAT(conf::with_aliases("uri_aliases = \n", lines).error(), Catch::StartsWith("line "));
  const std::string cut = kept->substr(0, kept->rfind("# end"));
  CHECK_THAT(conf::with_aliases(cut, lines).error(), Catch::Contains("has no end"));
}
