// protocol = "xen-proxy" makes a socket for clients of the old Xen proxy, other sockets stay for
// those of libvirt, and mistakes in its keys are found.
#include <string>
#include <vector>

#include "conf/config.h"
#include "tests/unit/support/catch.h"

namespace {

using policy::XenAbi;
using Texts = std::vector<std::string>;

constexpr const char* kTargets =
    "[targets]\nhail = \"qemu:///system\"\nrain = \"///xend-socket\"\n";

conf::Loaded loaded(const std::string& lines) {
  return conf::parse_config("[[listen]]\n" + lines + "\n" + kTargets, "f", {});
}

Texts mistakes(const std::string& lines) {
  Texts out;
  for (const conf::Mistake& mistake : loaded(lines).mistakes) out.push_back(to_string(mistake));
  return out;
}

}  // namespace

TEST_CASE("a socket can be for clients of the Xen proxy", "[conf][xen-proxy]") {
  const std::string lines = "target = \"hail\"\nprotocol = \"xen-proxy\"\n";
  for (const char* path :
       {"@/tmp/livirt_proxy_conn", "@/tmp/libvirt_proxy_conn", "/run/virtgate/xen"}) {
    const conf::Loaded result = loaded("path = \"" + std::string(path) + "\"\n" + lines);
    REQUIRE(result.mistakes.empty());
    REQUIRE(result.config.listen.size() == 1);
    const conf::Listen& listen = result.config.listen[0];
    CHECK(listen.path == path);
    CHECK(listen.target == "hail");
    CHECK(listen.xen_proxy == XenAbi::x86_64);
    CHECK_FALSE(result.config.speaks_rpc(listen));
  }
  const std::string path = "path = \"/s\"\n" + lines;
  CHECK(loaded(path + "abi = \"x86-64\"").config.listen[0].xen_proxy == XenAbi::x86_64);
  CHECK(loaded(path + "abi = \"i386\"").config.listen[0].xen_proxy == XenAbi::i386);
}

TEST_CASE("other sockets are for clients of libvirt", "[conf][xen-proxy]") {
  for (const char* lines : {"path = \"/s\"", "path = \"/s\"\nprotocol = \"libvirt\""}) {
    const conf::Loaded result = loaded(lines);
    REQUIRE(result.mistakes.empty());
    CHECK_FALSE(result.config.listen[0].xen_proxy);
    CHECK(result.config.speaks_rpc(result.config.listen[0]));
  }
  const conf::Loaded result = loaded("path = \"/s\"\ntarget = \"rain\"");
  CHECK_FALSE(result.config.speaks_rpc(result.config.listen[0]));
}

TEST_CASE("a pattern makes one socket of the Xen proxy for each target", "[conf][xen-proxy]") {
  const conf::Loaded result = conf::parse_config(
      "[[listen]]\npath = \"/run/%t\"\nprotocol = \"xen-proxy\"\nabi = \"i386\"\n"
      "[targets]\nhail = \"qemu:///system\"\nsleet = \"xen:///system\"\n",
      "f", {});
  REQUIRE(result.mistakes.empty());
  REQUIRE(result.config.listen.size() == 2);
  for (const conf::Listen& listen : result.config.listen) CHECK(listen.xen_proxy == XenAbi::i386);
}

TEST_CASE("mistakes in sockets of the Xen proxy are found", "[conf][xen-proxy]") {
  struct Case {
    const char* lines;
    const char* mistake;
  };
  const Case c = GENERATE(values<Case>({
      {"path = \"/s\"\nprotocol = \"xenproxy\"",
       "f:3:12: \"protocol\" is \"xenproxy\"; it must be \"libvirt\" or \"xen-proxy\""},
      {"path = \"/s\"\nprotocol = 1\nabi = \"i386\"",
       "f:3:12: \"protocol\" is an integer; it must be \"libvirt\" or \"xen-proxy\""},
      {"path = \"/s\"\nabi = \"i386\"", "f:3:1: abi is for sockets with protocol = \"xen-proxy\""},
      {"path = \"/s\"\nprotocol = \"libvirt\"\nabi = \"i386\"",
       "f:4:1: abi is for sockets with protocol = \"xen-proxy\""},
      {"path = \"/s\"\ntarget = \"hail\"\nprotocol = \"xen-proxy\"\nabi = \"i686\"",
       "f:5:7: \"abi\" is \"i686\"; it must be \"x86-64\" or \"i386\""},
      {"path = \"/s\"\ntarget = \"hail\"\nprotocol = \"xen-proxy\"\nabi = true",
       "f:5:7: \"abi\" is true or false; it must be \"x86-64\" or \"i386\""},
      {"path = \"/s\"\nprotocol = \"xen-proxy\"",
       "f:1:1: [[listen]] with protocol = \"xen-proxy\" has no \"target\""},
      {"path = \"/s\"\ntarget = \"rain\"\nprotocol = \"xen-proxy\"",
       "f:3:10: target \"rain\" is a legacy xend; a socket with protocol = \"xen-proxy\" needs one "
       "that speaks libvirt's RPC"},
      {"path = \"/%t\"\nprotocol = \"xen-proxy\"",
       "f:2:8: target \"rain\" is a legacy xend; a socket with protocol = \"xen-proxy\" needs one "
       "that speaks libvirt's RPC"},
  }));
  CHECK(mistakes(c.lines) == Texts{c.mistake});
}
