// An absolute path or an http URI makes a xend a target, no name that a libvirt client gives leads
// to it, and near misses of either form are refused.
#include <string>
#include <string_view>

#include "conf/aliases.h"
#include "conf/config.h"
#include "conf/explain.h"
#include "conf/names.h"
#include "conf/resolve.h"
#include "conf/target.h"
#include "conf/text.h"
#include "conf/xend_target.h"
#include "tests/unit/support/catch.h"

namespace {

using conf::Protocol;
using tunnel::Transport;

conf::TargetConfig made(std::string_view text) {
  auto target = conf::target_of("rain", text, {});
  INFO(text << ": " << (target.ok() ? "" : target.error()));
  REQUIRE(target.ok());
  CHECK(target->name == "rain");
  CHECK(target->uri == text);
  CHECK(target->tunnel.name == "rain");
  CHECK(target->connect_name.empty());
  return std::move(target).value();
}

std::string refused(std::string_view text) {
  CAPTURE(text);
  CHECK(conf::is_xend_form(text));
  const auto target = conf::target_of("rain", text, {});
  REQUIRE_FALSE(target.ok());
  CHECK_FALSE(conf::has_controls(target.error()));
  return target.error();
}

conf::Config config_of(const std::string& text) {
  conf::Loaded loaded = conf::parse_config(text, "test.toml", {});
  for (const auto& mistake : loaded.mistakes) FAIL(conf::to_string(mistake));
  return std::move(loaded.config);
}

bool mentions(const std::vector<std::string>& notes, std::string_view part) {
  for (const std::string& note : notes) {
    if (note.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("an absolute path is the socket of a xend", "[conf][xend]") {
  struct Case {
    const char* text;
    const char* path;
  };
  const Case c = GENERATE(values<Case>({
      {"///var/run/xend/xend-socket", "/var/run/xend/xend-socket"},
      {"/var/lib/xend/xend-socket", "/var/lib/xend/xend-socket"},
      {"///x", "/x"},
      {"/x", "/x"},
      {"/run/my%20xend", "/run/my xend"},
      {"///run/a%3fb%23", "/run/a?b#"},
  }));
  const conf::TargetConfig target = made(c.text);
  CHECK(target.protocol == Protocol::xend);
  CHECK(target.tunnel.transport == Transport::unix);
  CHECK(target.tunnel.sockets == std::vector<std::string>{c.path});
  CHECK_FALSE(conf::why_unprotected(target));
}

TEST_CASE("http with a host is the port of a xend", "[conf][xend]") {
  struct Case {
    const char* text;
    const char* host;
    int port;
  };
  const Case c = GENERATE(values<Case>({
      {"http://localhost:8000/", "localhost", 8000},
      {"http://localhost", "localhost", 8000},
      {"http://127.0.0.1:81", "127.0.0.1", 81},
      {"http://[::1]:8000/", "::1", 8000},
      {"HTTP://localhost:0/", "localhost", 8000},
  }));
  const conf::TargetConfig target = made(c.text);
  CHECK(target.protocol == Protocol::xend);
  CHECK(target.tunnel.transport == Transport::tcp);
  CHECK(target.tunnel.host == c.host);
  CHECK(target.tunnel.port == c.port);
  CHECK_FALSE(conf::why_unprotected(target));
}

TEST_CASE("a xend on another host is plain tcp", "[conf][xend]") {
  const auto target = conf::make_target("rain", "http://rain.example.com/", {});
  REQUIRE_FALSE(target.ok());
  CHECK(target.error().text.find("insecure = true") != std::string::npos);
  const conf::Config config = config_of(
      "[[listen]]\npath = \"/s\"\ntarget = \"rain\"\n[targets]\n"
      "rain = { uri = \"http://rain.example.com/\", insecure = true, upstreams = 2 }\n");
  CHECK(config.targets[0].upstreams == 2);
  CHECK(config.targets[0].tunnel.insecure);
}

TEST_CASE("what is close to a form of xend's says what is wrong", "[conf][xend]") {
  const auto has = [](const std::string& text, std::string_view part) {
    INFO(text);
    return text.find(part) != std::string::npos;
  };
  CHECK(has(refused("/"), "names no socket"));
  CHECK(has(refused("///run/xend/"), "names no socket"));
  CHECK(has(refused("//run/xend"), "two slashes"));
  CHECK(has(refused("//"), "two slashes"));
  CHECK(has(refused("//u@/run/xend"), "two slashes"));
  CHECK(has(refused("/run/xend?x=1"), "parameters"));
  CHECK(has(refused("/run/xend?"), "parameters"));
  CHECK(has(refused("/run/xend#x"), "fragment"));
  CHECK(has(refused("/run/x end"), "at byte 7"));
  CHECK(has(refused("/run/x%00"), "cannot be parsed"));
  CHECK(has(refused("/run/x%0a"), "control characters"));
  CHECK(has(refused("/" + std::string(107, 'x')), "108 bytes"));
  CHECK(has(refused("http://u@localhost/"), "no user"));
  CHECK(has(refused("http://@localhost/"), "no user"));
  CHECK(has(refused("http://localhost/?x=1"), "parameters"));
  CHECK(has(refused("http://localhost/?"), "parameters"));
  CHECK(has(refused("http://localhost/#x"), "fragment"));
  CHECK(has(refused("http://localhost/xend/node/"), "the path"));
  CHECK(has(refused("http:///x"), "needs a host"));
  CHECK(has(refused("http:x"), "needs a host"));
  CHECK(has(refused("http://"), "needs a host"));
  CHECK(has(refused("http://localhost:65536/"), "too large"));
  CHECK(has(refused("http://localhost:x/"), "cannot be parsed"));
  CHECK(has(refused("http://a%0d%0ab/"), "control characters"));
  CHECK(has(refused("https://localhost:8000/"), "no https"));
  for (const char* text :
       {"", "qemu:///system", "http+tcp://h/", "httpx://h/", "xen:///", "http"}) {
    CAPTURE(text);
    CHECK_FALSE(conf::is_xend_form(text));
  }
}

TEST_CASE("no name of a client's leads to a xend", "[conf][names][xend]") {
  const conf::Config config = config_of(
      "[[listen]]\npath = \"/plain\"\n[[listen]]\npath = \"/rain\"\ntarget = \"rain\"\n"
      "[targets]\nrain = \"///run/xend\"\nsnow = \"http://localhost:8000/\"\n"
      "hail = \"qemu:///system\"\n");
  conf::LibvirtConf libvirt;
  libvirt.uri_aliases = {"wet=rain", "old=http://localhost:8000/"};
  const conf::Listen& plain = config.listen[0];
  const conf::Listen& rain = config.listen[1];
  CHECK(config.xend_of(plain) == nullptr);
  REQUIRE(config.xend_of(rain) != nullptr);
  CHECK(config.xend_of(rain)->name == "rain");
  for (const char* name : {"rain", "snow", "wet", "old", "///run/xend", "/run/xend",
                           "http://localhost:8000/", "http:///", "xend:///run/xend"}) {
    for (const conf::Listen& listen : config.listen) {
      CAPTURE(name);
      CHECK_FALSE(conf::meaning_of(name, config, listen, libvirt).ok());
    }
  }
  CHECK(conf::meaning_of("rain", config, plain, libvirt).error().find("speaks HTTP") !=
        std::string::npos);
  const auto any = conf::meaning_of("", config, plain, libvirt);
  REQUIRE(any.ok());
  CHECK(any->targets == std::vector<std::string>{"hail"});
  CHECK_FALSE(conf::meaning_of("", config, rain, libvirt).ok());
  const auto unknown = conf::meaning_of("nosuch", config, plain, libvirt);
  CHECK(unknown.error().find("targets are hail") != std::string::npos);
  conf::Config only = config;
  only.targets.pop_back();
  CHECK(conf::meaning_of("", only, plain, libvirt).error() == "there is no target");
  CHECK(conf::meaning_of("x", only, plain, libvirt).error().find("there are no targets") !=
        std::string::npos);
}

TEST_CASE("a socket for each target is one for each xend too", "[conf][xend]") {
  const conf::Config config = config_of(
      "[[listen]]\npath = \"/s/%t\"\n[targets]\nrain = \"/run/xend\"\nhail = \"qemu:///system\"\n");
  REQUIRE(config.listen.size() == 2);
  CHECK(config.xend_of(config.listen[0]) != nullptr);
  CHECK(config.xend_of(config.listen[1]) == nullptr);
}

TEST_CASE("aliases leave a xend out", "[conf][xend]") {
  const conf::Config config = config_of(
      "[[listen]]\npath = \"/s\"\n[targets]\nrain = \"/run/xend\"\nhail = \"qemu:///system\"\n");
  const std::string lines = conf::alias_lines(config, "/s");
  CHECK(lines.find("# \"rain\" is left out") != std::string::npos);
  CHECK(lines.find("\"rain=") == std::string::npos);
  CHECK(lines.find("\"hail=") != std::string::npos);
}

TEST_CASE("what a gate makes of the old forms stands in the notes", "[conf][resolve][xend]") {
  const auto ask = [](const std::string& text) {
    return conf::resolve({text, 0}, {}, {}, [](const std::string&) { return true; });
  };
  const conf::Resolution socket = ask("///var/run/xend/xend-socket");
  CHECK(socket.error.value_or("").find("does not begin with a driver") != std::string::npos);
  CHECK(mentions(socket.notes, "legacy xend at the socket \"/var/run/xend/xend-socket\""));
  CHECK(conf::explained(socket).find("legacy xend at") != std::string::npos);
  CHECK(mentions(ask("/run/xend?x").notes, "does not take this as a target"));
  const conf::Resolution port = ask("http://rain:8000/");
  CHECK(port.transport == "tls");
  CHECK(mentions(port.notes, "legacy xend at \"rain\", port 8000"));
  CHECK(mentions(port.notes, "insecure = true"));
  CHECK(ask("qemu").notes.empty());
}
