// libvirt.conf is found where libvirt looks and read by virConf's grammar, its aliases resolve as
// in libvirt, and a mistake is named with its line.
#include <string>
#include <vector>

#include "conf/libvirt_conf.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"

namespace {

using conf::parse_libvirt_conf;
using Texts = std::vector<std::string>;

conf::LibvirtConf parsed(const std::string& text) {
  auto conf = parse_libvirt_conf(text);
  INFO(text << (conf.ok() ? "" : conf.error().text));
  REQUIRE(conf.ok());
  return std::move(conf).value();
}

}  // namespace

TEST_CASE("libvirt.conf gives the keys that concern URIs", "[conf][libvirt_conf]") {
  const conf::LibvirtConf conf = parsed(R"(# comment
uri_aliases = [
  "hail=qemu+ssh://root@hail/system",   'sleet=qemu://sleet/system'
  , """rain=x""",
]
uri_default = "hail" # comment
remote_mode='direct';remote_proxy="netcat";
tls_priority = """NORMAL"""
some_other_key = [ 1, "x", [ -2 ] ])");
  CHECK(conf.uri_aliases ==
        Texts{"hail=qemu+ssh://root@hail/system", "sleet=qemu://sleet/system", "rain=x"});
  CHECK(conf.uri_default == "hail");
  CHECK(conf.remote_mode == "direct");
  CHECK(conf.remote_proxy == "netcat");
  CHECK(conf.tls_priority == "NORMAL");
}

TEST_CASE("the grammar of libvirt.conf is virConf's", "[conf][libvirt_conf]") {
  for (const char* text : {"",
                           "\n",
                           " \t\n",
                           "#c",
                           "\n  # x\n  ",
                           "a=1",
                           "a=1;b=2\n",
                           "a=1 ;\n",
                           "a = 1 # c\nb=2",
                           "a=+5\n",
                           "a=-5\n",
                           "a=99999999999999999999\n",
                           "a=''\n",
                           "a=\"\"\n",
                           "a=\"\"\"\"\"\"\n",
                           "a='\"'\n",
                           "a=\"'#;\"\n",
                           "a=\"\\\"\n",
                           "a=\"\"\"x\ny\"z\"\"\"\n",
                           "a=[]\n",
                           "a=[\n]\n",
                           "a=[1,\n2,]\n",
                           "a=[1 \n, 2\n]\n",
                           "a=[[1],[2]]\n",
                           "a=[1] # c",
                           "a=1\r\nb=2\r\n",
                           "A_9z=1\n",
                           "uri_aliases = []\n"}) {
    CAPTURE(text);
    const auto conf = parse_libvirt_conf(text);
    CHECK(conf.ok());
  }
}

TEST_CASE("a mistake in libvirt.conf is named with its line", "[conf][libvirt_conf]") {
  struct Case {
    std::string text;
    int line;
    const char* why;
  };
  using namespace std::string_literals;
  const Case c = GENERATE(values<Case>({
      {"this is not valid", 1, "expecting an assignment"},
      {"a", 1, "expecting an assignment"},
      {"a.b=1\n", 1, "expecting an assignment"},
      {"\"x\"=1", 1, "expecting a name"},
      {"_a=1", 1, "expecting a name"},
      {"a=1\n=\n", 2, "expecting a name"},
      {"a=1;;b=2\n", 1, "expecting a name"},
      {"a=1\n;b=2\n", 2, "expecting a name"},
      {"a=1 b=2", 1, "expecting a separator"},
      {"a=0x1\n", 1, "expecting a separator"},
      {"a=1\f\n", 1, "expecting a separator"},
      {"a=\"\"\"x\ny\"\"\"z\n", 2, "expecting a separator"},
      {"a=", 1, "expecting a value"},
      {"a=\n1\n", 1, "expecting a value"},
      {"a = # c\n1", 1, "expecting a value"},
      {"a=x\n", 1, "expecting a value"},
      {"uri_aliases = [\n  # comment\n \"a=b\" ]", 2, "expecting a value"},
      {"a=[,]\n", 1, "expecting a value"},
      {"a=[1,,2]\n", 1, "expecting a value"},
      {"a=-\n", 1, "unterminated number"},
      {"a=\"x\n\"", 1, "unterminated string"},
      {"a='x", 1, "unterminated string"},
      {"\n\na=\"\"\"x\n\n", 3, "unterminated string"},
      {"a=[1 2]", 1, "expecting a separator in list"},
      {"a=[1\n", 2, "list is not closed with ]"},
      {"a=[", 1, "list is not closed with ]"},
      {"a=" + std::string(33, '[') + std::string(33, ']'), 1, "nested too deeply"},
      {"\nuri_aliases = \"a=b\"\n", 2, "expected a string list for 'uri_aliases' parameter"},
      {"uri_aliases = [ 5 ]", 1, "expected a string list for 'uri_aliases' parameter"},
      {"uri_aliases = [ [\"a=b\"] ]", 1, "expected a string list for 'uri_aliases' parameter"},
      {"uri_default = 5", 1, "expected a string for 'uri_default' parameter"},
      {"remote_mode = []", 1, "expected a string for 'remote_mode' parameter"},
      {"uri_default = \"a\0b\""s, 1, "NUL"},
      {"uri_aliases = [ \"a\0b\" ]"s, 1, "NUL"},
  }));
  CAPTURE(c.text);
  const auto conf = parse_libvirt_conf(c.text);
  REQUIRE_FALSE(conf.ok());
  CHECK(conf.error().line == static_cast<std::uint32_t>(c.line));
  CHECK_THAT(conf.error().text, Catch::Contains(c.why));
}

TEST_CASE("of a key that is there twice the first counts", "[conf][libvirt_conf]") {
  const conf::LibvirtConf conf =
      parsed("uri_default=\"a\"\nuri_default=\"b\"\nuri_aliases=[]\nuri_aliases=[\"x=y\"]\n");
  CHECK(conf.uri_default == "a");
  CHECK(conf.uri_aliases.empty());
  CHECK(parsed("uri_default = ''\nuri_default = 5\n").uri_default == "");
}

TEST_CASE("libvirt.conf has a size", "[conf][libvirt_conf]") {
  std::string text(conf::kLargestLibvirtConf, '\n');
  CHECK(parse_libvirt_conf(text).ok());
  text += '\n';
  REQUIRE_FALSE(parse_libvirt_conf(text).ok());
}

TEST_CASE("aliases are looked up as libvirt does", "[conf][libvirt_conf]") {
  conf::LibvirtConf conf;
  conf.uri_aliases = {"hail=qemu+ssh://hail/system?a=b", "A-b_9=x", "hail=second",
                      "empty=", "=none"};
  const auto found = [&](const char* alias) {
    const auto result = conf::find_alias(conf, alias);
    REQUIRE(result.ok());
    return *result;
  };
  CHECK(found("hail") == "qemu+ssh://hail/system?a=b");
  CHECK(found("A-b_9") == "x");
  CHECK(found("empty") == "");
  CHECK(found("HAIL") == std::nullopt);
  CHECK(found("hai") == std::nullopt);
  CHECK(found("hail=qemu+ssh://hail/system?a") == std::nullopt);

  for (const char* bad : {"bad.name=x", "noequals", " a=x", "a b=x"}) {
    conf.uri_aliases = {"first=1", bad, "last=2"};
    CAPTURE(bad);
    CHECK(found("first") == "1");
    for (const char* alias : {"last", "unknown"}) {
      const auto result = conf::find_alias(conf, alias);
      REQUIRE_FALSE(result.ok());
      CHECK_THAT(result.error(), Catch::Contains(bad));
    }
  }
}

TEST_CASE("libvirt.conf is looked for where libvirt looks", "[conf][libvirt_conf]") {
  conf::Environment environment;
  environment.home = "/home/u";
  environment.config_home = "/cfg";
  CHECK(libvirt_conf_path(environment) == "/etc/libvirt/libvirt.conf");
  environment.uid = 1000;
  CHECK(libvirt_conf_path(environment) == "/cfg/libvirt/libvirt.conf");
  environment.config_home.clear();
  CHECK(libvirt_conf_path(environment) == "/home/u/.config/libvirt/libvirt.conf");
}

TEST_CASE("a libvirt.conf that is missing says nothing, a wrong one is a mistake",
          "[conf][libvirt_conf]") {
  const test::TemporaryFolder folder;
  conf::Environment environment;
  environment.system_folder = folder.path();
  const auto missing = load_libvirt_conf(environment);
  REQUIRE(missing.ok());
  CHECK(missing->uri_aliases.empty());
  CHECK(missing->uri_default == std::nullopt);

  folder.write("libvirt.conf", "uri_default = 'hail'\n");
  const auto good = load_libvirt_conf(environment);
  REQUIRE(good.ok());
  CHECK(good->uri_default == "hail");

  folder.write("libvirt.conf", "a = 1\nb\n");
  const auto bad = load_libvirt_conf(environment);
  REQUIRE_FALSE(bad.ok());
  CHECK(to_string(bad.error()) == folder.path() + "/libvirt.conf:2: expecting an assignment");

  folder.write("folder/libvirt.conf/x", "");
  environment.system_folder += "/folder";
  const auto folder_instead = load_libvirt_conf(environment);
  REQUIRE_FALSE(folder_instead.ok());
  CHECK_THAT(to_string(folder_instead.error()), Catch::EndsWith("is not a regular file"));
}
