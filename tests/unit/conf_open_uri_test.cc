// A URI that a client names keeps its driver, transport, user, host, port and path in one spelling,
// and one with parameters or odd characters is refused.
#include "conf/open_uri.h"
#include "tests/unit/support/catch.h"

using Catch::Matchers::Contains;

namespace {

conf::Uri uri(const std::string& text) {
  auto parsed = conf::parse_uri(text);
  INFO(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

struct Opened {
  const char* asked;
  const char* text;
};

struct Wrong {
  const char* text;
  const char* why;
};

}  // namespace

TEST_CASE("what is left of a URI that a client names", "[conf][open]") {
  const Opened c = GENERATE(values<Opened>({
      {"qemu+ssh://a.example.com/system", "qemu+ssh://a.example.com/system"},
      {"qemu+libssh2://A.Example.COM:22/system", "qemu+ssh://a.example.com/system"},
      {"qemu+SSH://me@a:2222/system", "qemu+ssh://me@a:2222/system"},
      {"qemu://a/system", "qemu+tls://a/system"},
      {"xen+tcp://[2001:DB8::1]:16509/", "xen+tcp://[2001:db8::1]/"},
      {"qemu+tls://[::1]:1/%73ystem", "qemu+tls://[::1]:1/system"},
  }));
  const auto opened = conf::opened_uri(uri(c.asked));
  REQUIRE(opened.ok());
  CHECK(opened->text == c.text);
  // It means what it says.
  const auto again = conf::opened_uri(uri(opened->text));
  REQUIRE(again.ok());
  CHECK(again->text == opened->text);
  CHECK(again->parts.port == opened->parts.port);
}

TEST_CASE("anything else in a URI that a client names is refused", "[conf][open]") {
  const std::string parameter =
      GENERATE("keyfile", "command", "netcat", "socket", "pkipath", "no_verify", "known_hosts",
               "known_hosts_verify", "name", "mode", "proxy", "auth", "authfile", "no_tty", "x");
  const auto with = conf::opened_uri(uri("qemu+ssh://a/system?" + parameter + "=1"));
  REQUIRE_FALSE(with.ok());
  CHECK_THAT(with.error(), Contains("parameter \"" + parameter + "\""));
  const Wrong c = GENERATE(values<Wrong>({
      {"qemu+ssh://a/system#x", "fragment"},
      {"qemu+unix://a/system", "ssh, tls or tcp"},
      {"qemu+ext://a/system", "ssh, tls or tcp"},
      {"qemu+ssh:///system", "ssh, tls or tcp"},
      {"qemu+nonsense://a/system", "ssh, tls or tcp"},
      {"qemu+ssh://-oProxyCommand=x@a/system", "characters"},
      {"qemu+ssh://a%20b@a/system", "characters"},
      {"qemu+ssh://-a/system", "characters"},
      {"qemu+ssh://a%2fb/system", "characters"},
      {"qemu+ssh://a/sys%3ftem", "characters"},
      {"qemu+ssh://a/sys%0atem", "characters"},
      {"qemu+ssh://[fe80::1%25eth0]/system", "characters"},
  }));
  const auto opened = conf::opened_uri(uri(c.text));
  INFO(c.text);
  REQUIRE_FALSE(opened.ok());
  CHECK_THAT(opened.error(), Contains(c.why));
}

TEST_CASE("patterns of URIs", "[conf][open]") {
  const auto full = conf::parse_uri_pattern("*+ssh://a*@[2001:DB8::*]:22*/sys*");
  REQUIRE(full.ok());
  CHECK(full->scheme == "*+ssh");
  CHECK(full->user == "a*");
  CHECK(full->host == "2001:db8::*");
  CHECK(full->port == "22*");
  CHECK(full->path == "/sys*");
  const auto least = conf::parse_uri_pattern("*://*/");
  REQUIRE(least.ok());
  CHECK(least->user.empty());
  CHECK(least->port.empty());
  CHECK(least->host == "*");
  CHECK(least->path == "/");
  const Wrong c = GENERATE(values<Wrong>({
      {"", "must be like"},
      {"*", "must be like"},
      {"qemu+ssh://a", "no path"},
      {"qemu+ssh:///system", "no host"},
      {"qemu+ssh://@a/", "no user"},
      {"qemu+ssh://[::1/", "without a ]"},
      {"qemu+ssh://[::1]x/", "port"},
      {"qemu+ssh://a:/", "port"},
      {"qemu+ssh://a:ssh/", "port"},
      {"qemu://a/", "names no transport"},
      {"://a/", "scheme"},
      {"qemu+ssh://a/system?keyfile=*", "parts"},
      {"qemu+ssh://a b/", "parts"},
      {"qemu+ssh://a\n/", "parts"},
  }));
  const auto wrong = conf::parse_uri_pattern(c.text);
  INFO(c.text);
  REQUIRE_FALSE(wrong.ok());
  CHECK_THAT(wrong.error(), Contains(c.why));
}

TEST_CASE("the target that an open URI is", "[conf][open]") {
  conf::Environment environment;
  environment.home = "/home/gate";
  const auto opened = conf::opened_uri(uri("qemu+ssh://me@a:2222/system"));
  REQUIRE(opened.ok());
  const auto target = conf::opened_target(*opened, {{}, false}, environment);
  REQUIRE(target.ok());
  CHECK(target->name == opened->text);
  CHECK(target->connect_name == "qemu:///system");
  CHECK(target->tunnel.host == "a");
  CHECK(target->tunnel.port == 2222);
  CHECK_FALSE(target->tunnel.local_addresses);
  CHECK(target->tunnel.keyfile.empty());
  CHECK(conf::opened_target(*opened, {{}, true}, environment)->tunnel.local_addresses);
  const auto plain =
      conf::opened_target(*conf::opened_uri(uri("qemu+tcp://a/system")), {{}, false}, environment);
  REQUIRE_FALSE(plain.ok());
  CHECK_THAT(plain.error(), Contains("insecure"));
}
