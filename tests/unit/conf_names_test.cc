// A name or URI that a client gives finds its target by libvirt's rules or is refused, and a hidden
// target is refused in the words for one that does not exist.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/names.h"
#include "tests/unit/support/catch.h"

namespace {

using Texts = std::vector<std::string>;

// Targets of every kind, and one socket without and one with a target of its own.
struct World {
  conf::Config config;
  conf::LibvirtConf libvirt;
  std::string hidden;  // a target that the client may not see

  World() {
    auto loaded = conf::parse_config(R"(
[[listen]]
path = "/plain"
[[listen]]
path = "/bound"
target = "sleet"
[targets]
hail = "qemu+ssh://monitor@hail.example.com/system?keyfile=/k"
sleet = "qemu://sleet/system"
rain = { uri = "xen+tcp://rain:5000/", insecure = true }
fog = "test+unix:///default?socket=/fog"
mist = "remote+tls://mist/?name=lxc:///"
dew = "remote+tls://dew/"
ice = "qemu:///session"
"qemu.lab" = "qemu+ext:///lab?command=/c"
)",
                                     "f", {});
    REQUIRE(loaded.mistakes.empty());
    config = std::move(loaded.config);
    libvirt.uri_aliases = {"hail=qemu:///session",
                           "web=qemu+ssh://monitor@hail.example.com/system",
                           "loop=web",
                           "name=fog",
                           "local=xen:///system",
                           "xen=test:///default",
                           "empty=",
                           "elsewhere=qemu+tcp://other/system",
                           "word=xen"};
  }

  [[nodiscard]] conf::Meaning meaning(std::optional<std::string_view> name, int socket = 0) const {
    const auto result = look_up(name, socket);
    INFO((name ? *name : "(none)") << ": " << (result.ok() ? "" : result.error()));
    REQUIRE(result.ok());
    return *result;
  }
  [[nodiscard]] std::string target(std::optional<std::string_view> name, int socket = 0) const {
    const conf::Meaning found = meaning(name, socket);
    REQUIRE(found.targets.size() == 1);
    return found.targets[0];
  }
  [[nodiscard]] std::string refusal(std::string_view name, int socket = 0) const {
    const auto result = look_up(name, socket);
    CAPTURE(name);
    REQUIRE_FALSE(result.ok());
    return result.error();
  }
  [[nodiscard]] base::Result<conf::Meaning, std::string> look_up(
      std::optional<std::string_view> name, int socket) const {
    return conf::meaning_of(name, config, config.listen[static_cast<std::size_t>(socket)], libvirt,
                            [&](const conf::TargetConfig& one) { return one.name != hidden; });
  }
};

constexpr int kPlain = 0;
constexpr int kBound = 1;

}  // namespace

TEST_CASE("the name of a target comes before everything else", "[conf][names]") {
  const World world;
  for (const char* name : {"hail", "sleet", "rain", "fog", "mist", "dew", "ice", "qemu.lab"}) {
    CHECK(world.target(name) == name);
    CHECK(world.target(name, kBound) == name);
  }
  CHECK(world.meaning("hail").reason == "the name of a target");
}

TEST_CASE("an alias is followed once", "[conf][names]") {
  const World world;
  CHECK(world.target("web") == "hail");
  CHECK(world.meaning("web").reason ==
        "alias \"web\" of libvirt.conf for \"qemu+ssh://monitor@hail.example.com/system\", the "
        "target with this URI");
  CHECK(world.target("name") == "fog");
  CHECK(world.target("local") == "rain");
  CHECK_THAT(world.refusal("loop"), Catch::StartsWith("there is no target \"web\";"));
  CHECK_THAT(world.refusal("word"), Catch::StartsWith("there is no target \"xen\";"));
  CHECK_THAT(world.refusal("empty"), Catch::StartsWith("there is no target \"\";"));
  CHECK_THAT(world.refusal("elsewhere"),
             Catch::StartsWith(
                 "no target has the URI \"qemu+tcp://other/system\"; add &name=TARGET, one of: "));
  CHECK_THAT(world.refusal("WEB"), Catch::StartsWith("there is no target \"WEB\";"));
}

TEST_CASE("a malformed alias is an error for all that come to the aliases", "[conf][names]") {
  World world;
  world.libvirt.uri_aliases = {"first=qemu:///session", "bad"};
  CHECK(world.target("hail") == "hail");
  CHECK(world.target("first") == "ice");
  CHECK(world.target("", kBound) == "sleet");
  CHECK_THAT(world.refusal("qemu:///system"), Catch::Contains("malformed entry \"bad\""));
}

TEST_CASE("no name means the target of the socket, uri_default, or each target", "[conf][names]") {
  World world;
  const Texts all = {"hail", "sleet", "rain", "fog", "mist", "dew", "ice", "qemu.lab"};
  for (const auto& name :
       {std::optional<std::string_view>(), std::optional<std::string_view>("")}) {
    world.libvirt.uri_default.reset();
    CHECK(world.target(name, kBound) == "sleet");
    CHECK(world.meaning(name).targets == all);
    world.libvirt.uri_default = "";
    CHECK(world.meaning(name).targets == all);
    world.libvirt.uri_default = "web";
    CHECK(world.target(name) == "hail");
    CHECK_THAT(world.meaning(name).reason,
               Catch::StartsWith("uri_default of libvirt.conf, alias \"web\""));
    CHECK(world.target(name, kBound) == "sleet");
    world.libvirt.uri_default = "ice";
    CHECK(world.target(name) == "ice");
  }
  world.libvirt.uri_default = "nosuch";
  CHECK_THAT(world.refusal(""),
             Catch::StartsWith("uri_default of libvirt.conf: there is no target \"nosuch\";"));
  world.config.targets.clear();
  world.libvirt.uri_default.reset();
  CHECK(world.refusal("") == "there is no target");
  CHECK_THAT(world.refusal("x"), Catch::Contains("there are no targets"));
}

TEST_CASE("a local form means the first target with its driver and path", "[conf][names]") {
  const World world;
  struct Case {
    const char* name;
    const char* plain;
    const char* bound;
  };
  const Case c = GENERATE(values<Case>({
      {"qemu:///system", "hail", "sleet"},
      {"qemu:/system", "hail", "sleet"},
      {"qemu+unix:///system", "hail", "sleet"},
      {"qemu:///system?foo=bar", "hail", "sleet"},
      {"qemu:///system#frag", "hail", "sleet"},
      {"qemu:///sys%74em", "hail", "sleet"},
      {"qemu:///session", "ice", "sleet"},
      {"qemu:///lab", "qemu.lab", "sleet"},
      {"test:///default", "fog", "fog"},
      {"lxc:///", "mist", "mist"},
      {"xen:///", "rain", "rain"},
      {"xen:///system", "rain", "rain"},
      {"xen", "rain", "rain"},
      {"Xen", "rain", "rain"},
      {"xen://", "rain", "rain"},
      {"test:///default?socket=/fog", "fog", "fog"},
  }));
  CAPTURE(c.name);
  CHECK(world.target(c.name, kPlain) == c.plain);
  CHECK(world.target(c.name, kBound) == c.bound);
}

TEST_CASE("a socket for one target takes its driver with any path, and names no other",
          "[conf][names]") {
  const World world;
  CHECK(world.target("qemu:///nosuch", kBound) == "sleet");
  CHECK(world.meaning("qemu:///session", kBound).reason ==
        "the target of this socket, which has this driver");
  CHECK(world.refusal("vbox:///session", kBound) ==
        "no target has the URI \"vbox:///session\"; this socket is for target sleet, which "
        "any name of driver qemu without a host means");
  CHECK_FALSE(world.refusal("nix", kBound).find("hail") != std::string::npos);
}

TEST_CASE("of several targets a form means the first that the client may see", "[conf][names]") {
  World world;
  world.hidden = "hail";
  CHECK(world.target("qemu:///system") == "sleet");
  world.hidden = "sleet";
  CHECK(world.target("qemu:///system") == "hail");
  CHECK(world.target("qemu:///system", kBound) == "hail");
}

TEST_CASE("a target that is hidden is refused as one that does not exist", "[conf][names]") {
  World world;
  // An alias would be looked up in the name's place.
  world.libvirt.uri_aliases.clear();
  for (const char* name : {"hail", "qemu+ssh://monitor@hail.example.com/system"}) {
    world.hidden = "hail";
    const std::string hidden = world.refusal(name);
    World other;
    other.libvirt.uri_aliases.clear();
    std::erase_if(other.config.targets, [](const auto& one) { return one.name == "hail"; });
    CHECK(hidden == other.refusal(name));
  }
}

TEST_CASE("a URI with a host means the target that has it", "[conf][names]") {
  const World world;
  struct Case {
    const char* name;
    const char* target;
  };
  const Case c = GENERATE(values<Case>({
      {"qemu+ssh://monitor@hail.example.com/system", "hail"},
      {"qemu+ssh://monitor@hail.example.com:22/system?keyfile=/k", "hail"},
      {"qemu+libssh2://monitor@HAIL.example.com/system?keyfile=%2fk&foo=1", "hail"},
      {"qemu://sleet/system", "sleet"},
      {"qemu+tls://sleet:16514/system", "sleet"},
      {"qemu+tls://anybody@sleet/system", "sleet"},
      {"xen+tcp://rain:5000/system", "rain"},
      {"remote://mist/?name=lxc:///", "mist"},
      {"remote+tls://mist/", "mist"},
      {"remote://dew/", "dew"},
      {"qemu+ext:///lab", "qemu.lab"},
  }));
  CAPTURE(c.name);
  CHECK(world.target(c.name) == c.target);
}

TEST_CASE("what is close to a target's URI is not it", "[conf][names]") {
  const World world;
  for (const char* name :
       {"qemu+ssh://hail.example.com/system", "qemu+ssh://root@hail.example.com/system",
        "qemu+ssh://monitor@hail.example.com:23/system", "qemu+ssh://monitor@hail/system",
        "qemu+ssh://monitor@hail.example.com/session", "xen+ssh://monitor@hail.example.com/system",
        "qemu+tls://monitor@hail.example.com/system", "qemu+tcp://sleet/system",
        "qemu+tls:///system", "qemu+tcp://localhost/system", "QEMU://sleet/system",
        "xen+tcp://rain/", "qemu:///System", "qemu:///system/", "QEMU:///system", "qemu://",
        "remote:///", "lxc:///system", "nosuch:///x"}) {
    CHECK_THAT(world.refusal(name), Catch::Contains("; add &name=TARGET, one of: hail, "));
  }
}

TEST_CASE("a name cannot ask for another way to the daemon", "[conf][names]") {
  const World world;
  for (const char* name :
       {"qemu:///system?socket=/x", "qemu:///system?command=/bin/sh", "qemu:///system?SOCKET=/x",
        "qemu:///system?keyfile=/other", "qemu:///system?keyfile=", "qemu:///session?mode=legacy",
        "qemu:///system?foo=1&name=other", "qemu+unix:///system?netcat=/x",
        "qemu+ssh://monitor@hail.example.com/system?keyfile=/k&no_verify=1",
        "qemu+ssh://monitor@hail.example.com/system?keyfile=/k&command=/x",
        "qemu+ext:///lab?command=/other", "test:///default?socket=/other"}) {
    CHECK_THAT(world.refusal(name), Catch::Contains("for another way to the daemon"));
  }
}

TEST_CASE("hostile names are refused and shown harmlessly", "[conf][names]") {
  const World world;
  using namespace std::string_literals;
  for (const std::string& name : {"\0"s,
                                  "hail\0"s,
                                  "\n"s,
                                  "\x1b[2J"s,
                                  "\xff\xfe"s,
                                  "qemu:///system\0"s,
                                  "qemu:///%00"s,
                                  " "s,
                                  "hail "s,
                                  "../hail"s,
                                  "%68ail"s,
                                  "qemu+exec:///x"s,
                                  "qemu+://h/"s,
                                  ":"s,
                                  "://"s,
                                  "?"s,
                                  "\xe2\x80\xae"s,
                                  "qemu+ssh://[::1/system"s,
                                  "a=b"s,
                                  std::string(4096, '%'),
                                  std::string(4096, 'x'),
                                  "q:///?" + std::string(4090, ';')}) {
    CHECK_THAT(world.refusal(name), Catch::Contains("hail, sleet"));
    CHECK(world.refusal(name).size() < 1024);
  }
  CHECK_THAT(world.refusal(std::string(4097, 'x')),
             Catch::StartsWith("a name of 4097 bytes is too long"));
  CHECK_THAT(world.refusal(std::string(1U << 22, '\n')), Catch::StartsWith("a name of 4194304"));
}

TEST_CASE("a refusal names ten targets at most", "[conf][names]") {
  World world;
  for (int i = 0; i < 100; ++i) {
    world.config.targets.push_back(world.config.targets[0]);
    world.config.targets.back().name = "more" + std::to_string(i);
  }
  CHECK(world.refusal("nosuch") ==
        "there is no target \"nosuch\"; targets are hail, sleet, rain, fog, mist, dew, ice, "
        "qemu.lab, "
        "more0, more1 and 98 more");
}
