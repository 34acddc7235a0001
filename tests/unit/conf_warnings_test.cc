// A URI that means something other than it seems is warned of, its password is never shown, and
// mistakes of grammar are told in plain words.
#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/mask.h"
#include "conf/text.h"
#include "tests/unit/support/catch.h"

namespace {

using Texts = std::vector<std::string>;

constexpr const char* kListen = "[[listen]]\npath = \"/s\"\n";

Texts shown(const std::vector<conf::Mistake>& mistakes) {
  Texts out;
  for (const conf::Mistake& mistake : mistakes) out.push_back(to_string(mistake));
  return out;
}

conf::Loaded loaded(const std::string& text) { return conf::parse_config(text, "f", {}); }

// Of a file whose fourth line is this one.
conf::Loaded with_target(const std::string& uri) {
  return loaded(kListen + std::string("[targets]\nhail = \"") + uri + "\"\n");
}

}  // namespace

TEST_CASE("a URI that is accepted and means something else is warned of", "[conf][warnings]") {
  struct Row {
    const char* uri;
    Texts warnings;
  };
  const Row row = GENERATE(values<Row>({
      {"qemu:///system", {}},
      {"qemu+ssh://monitor@h/system?keyfile=/k&known_hosts=/h", {}},
      {"xen:///", {}},
      {"lxc:///", {}},
      {"test+tcp://localhost/any", {}},
      {"quemu+ssh://h/system", {"f:4:8: libvirt has no driver \"quemu\"; did you mean \"qemu\"?"}},
      {"frobnicate+ssh://h/system", {"f:4:8: libvirt has no driver \"frobnicate\""}},
      {"frobnicate+ssh://h/system?name=qemu:///system", {}},
      {"monitor:s3cret@h", {"f:4:8: no driver is named; is this a user, a password and a host?"}},
      {"qemu:///sytem",
       {"f:4:8: the driver \"qemu\" does not open the path \"/sytem\"; did you mean "
        "\"/system\"?"}},
      {"qemu+ssh://h", {"f:4:8: the driver \"qemu\" needs a path, such as \"/system\""}},
      {"qemu+ssh://h/system?known_host=/x",
       {"f:4:8: \"known_host\" is not a parameter of the connection, so the driver gets it; did "
        "you mean \"known_hosts\"?"}},
      {"qemu://h/system?keyfile=/k", {"f:4:8: keyfile= has no effect with the transport tls"}},
      {"qemu:///system?pkipath=/p", {"f:4:8: pkipath= has no effect with the transport unix"}},
      {"qemu+tls://me@h/system",
       {"f:4:8: the user \"me\" has no effect: tls and tcp log in by SASL, with the name that "
        "authfile= has"}},
  }));
  const conf::Loaded result = with_target(row.uri);
  CHECK(shown(result.mistakes).empty());
  CHECK(shown(result.warnings) == row.warnings);
}

TEST_CASE("a password in a URI is refused and never shown", "[conf][warnings]") {
  for (const char* user : {"monitor:s3cret", "monitor%3As3cret"}) {
    const Texts found =
        shown(with_target("qemu+ssh://" + std::string(user) + "@h/system").mistakes);
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0], Catch::StartsWith("f:4:8: the URI has a password after the user "
                                           "\"monitor\""));
    CHECK_THAT(found[0], !Catch::Contains("s3cret"));
  }
  const auto broken = shown(with_target("qemu+ssh://monitor:s3/cret@h/system").mistakes);
  REQUIRE(broken.size() == 1);
  CHECK_THAT(broken[0], Catch::Contains("monitor:***@h/system"));
}

TEST_CASE("passwords are masked wherever a URI is in a text", "[conf][warnings]") {
  CHECK(conf::masked("a://u:p@h/x b://v%3aq@g/y") == "a://u:***@h/x b://v%3a***@g/y");
  CHECK(conf::masked("a://u:p:q@r@h/x") == "a://u:***@h/x");
  CHECK(conf::masked("a://u:p/q@h/x") == "a://u:***@h/x");
  for (const char* same :
       {"", "a://u@h/x", "a://h:22/x?k=a@b", "a://[::1]:22/x?k=a@b", "://", "a://", "a://:@",
        "u@h:22", "unix:@/x", "qemu+ssh:u@h", "f:4:8: u@h", "a: b@c", "@a:b"}) {
    CHECK_THAT(conf::masked(same), Catch::Equals(same) || Catch::Equals("a://:***@"));
  }
  CHECK(conf::masked("u:s3cret@h") == "u:***@h");
  CHECK(conf::masked("no 'u:s3:c@ret@h' at 1:2") == "no 'u:***@h' at 1:2");
  CHECK(conf::masked("//u:s3cret@h/x") == "//u:***@h/x");
  CHECK(conf::masked("u%3As3cret@h") == "u%3A***@h");
  CHECK(conf::masked("qemu+ssh:u:s3cret@h") == "qemu+ssh:u:***@h");
  CHECK(conf::masked("qemu+ssh//u:s3cret@h \"v:t@g\"") == "qemu+ssh//u:***@h \"v:***@g\"");
  CHECK(conf::quoted("a://u:p@h/x") == "\"a://u:***@h/x\"");
  CHECK(conf::masked_user("u:p") == "u:***");
  CHECK(conf::masked_user("u") == "u");
}

TEST_CASE("what is wrong with the grammar of a file is told in plain words", "[conf][warnings]") {
  struct Row {
    std::string text;
    const char* mistake;
  };
  const std::string targets = "[targets]\nhail = \"qemu:///system\"\n";
  const Row row = GENERATE_COPY(values<Row>({
      {"[[listen]\npath = \"/s\"\n" + targets,
       "f:1:10: the heading is not closed; write it as [[NAME]]"},
      {"[listen]\npath = \"/s\"\n" + targets, "f:1:2: write [[listen]] with two brackets"},
      {kListen + std::string("mode = 0666\n") + targets,
       "f:3:8: a number cannot begin with 0; write an octal mode in quotes: \"0666\""},
      {kListen + std::string("[targets]\nhail = \"qemu:///system\n"),
       "f:4:23: the string is not closed; add a quote at its end"},
      {kListen + std::string("[targets]\r\nhail = \"qemu:///system\r\n"),
       "f:4:23: the string is not closed; add a quote at its end"},
      {kListen + std::string("[targets]\nhail = \"qemu:///system"),
       "f:4:23: the string is not closed; add a quote at its end"},
      {kListen + targets + "snow = \"qemu:///session\"\nhail = \"xen:///\"\n",
       "f:6:1: the key hail is defined twice; first at line 4"},
      {kListen + targets + "\"hail\" = \"xen:///\"\n",
       "f:5:1: the key \"hail\" is defined twice; first at line 4"},
      {kListen + std::string("[targets]\nhail.example.com = \"qemu:///system\"\n"),
       "f:4:1: a name with dots needs quotes; write \"hail.example.com\""},
      {kListen + targets + "[policy]\n[[policy.rule]]\nusers = \"root\"\ntargets = [\"*\"]\n" +
           "allow = [\"*\"]\n",
       "f:7:9: \"users\" is a string; write [\"root\"]"},
      {kListen + std::string("target = \"hial\"\n") + targets,
       "f:3:10: there is no target \"hial\"; did you mean \"hail\"?"},
      {"[[listen]]\npath = \"/%t\"\ntarget = \"hail\"\n" + targets,
       "f:3:10: remove target=: %t in the path already names the target"},
  }));
  CHECK(shown(loaded(row.text).mistakes) == Texts{row.mistake});
}
