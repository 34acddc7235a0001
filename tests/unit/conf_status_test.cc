// [control] and [metrics] become values, metrics listen on loopback addresses only, and each
// mistake is reported with its place.
#include <string>
#include <vector>

#include "conf/config.h"
#include "proxy/report/status_desks.h"
#include "tests/unit/support/catch.h"

namespace {

using conf::Milliseconds;

constexpr const char* kRest = "\n[[listen]]\npath = \"/s\"\n[targets]\nhail = \"qemu:///system\"\n";

conf::Loaded loaded(const std::string& text) { return conf::parse_config(text + kRest, "f", {}); }

std::vector<std::string> mistakes(const std::string& text) {
  std::vector<std::string> out;
  for (const conf::Mistake& mistake : loaded(text).mistakes) out.push_back(to_string(mistake));
  return out;
}

}  // namespace

TEST_CASE("control and metrics become values", "[conf][config]") {
  const conf::Loaded result = loaded(R"([control]
path = "@virtgate-control"
[metrics]
socket = "/m"
mode = "0666"
group = "0"
listen = "127.1.2.3:9779"
textfile = "/t.prom"
interval = "5s"
)");
  REQUIRE(result.mistakes.empty());
  CHECK(result.config.control.path == "@virtgate-control");
  const conf::Metrics& metrics = result.config.metrics;
  CHECK(metrics.socket == "/m");
  CHECK(metrics.mode == 0666);
  CHECK(metrics.group == gid_t{0});
  CHECK(metrics.host == "127.1.2.3");
  CHECK(metrics.port == 9779);
  CHECK(metrics.textfile == "/t.prom");
  CHECK(metrics.interval == Milliseconds(5000));
}

TEST_CASE("without them there are no metrics", "[conf][config]") {
  const conf::Loaded result = loaded("");
  CHECK(result.config.control.path.empty());
  CHECK(result.config.metrics.socket.empty());
  CHECK(result.config.metrics.host.empty());
  CHECK(result.config.metrics.textfile.empty());
  CHECK(result.config.metrics.interval == Milliseconds(15000));
}

TEST_CASE("metrics are for this host", "[conf][config]") {
  CHECK(loaded("[metrics]\nlisten = \"[::1]:1\"").config.metrics.host == "::1");
  for (const char* address : {"",
                              ":9779",
                              "9779",
                              "127.0.0.1",
                              "127.0.0.1:",
                              "127.0.0.1:0",
                              "127.0.0.1:65536",
                              "127.0.0.1:x",
                              "127.0.0.1:-1",
                              "0.0.0.0:9779",
                              "128.0.0.1:9779",
                              "192.0.2.1:9779",
                              "[::]:9779",
                              "::1:9779",
                              "[::1]",
                              "[127.0.0.1]:9779",
                              "[::ffff:127.0.0.1]:9779",
                              "localhost:9779",
                              "127.0.0.1 :9779",
                              "127.1:9779",
                              "[fe80::1%lo]:9779"}) {
    const std::string text = address;
    CHECK(
        mistakes("[metrics]\nlisten = \"" + text + "\"") ==
        std::vector<std::string>{
            "f:2:10: \"listen\" is \"" + text +
            "\"; it must be an address of this host's own and a port, such as "
            "\"127.0.0.1:9779\" or \"[::1]:9779\", because everybody who can connect may read it"});
  }
}

TEST_CASE("mistakes of control and metrics have their places", "[conf][config]") {
  const auto [text, mistake] = GENERATE(table<std::string, std::string>({
      {"control = 1", "f:1:11: "},
      {"[control]\npaths = \"/c\"", "f:2:1: "},
      {"[control]\npath = 1", "f:2:8: "},
      {"[control]\npath = \"c\"", "f:2:8: the path \"c\" is relative"},
      {"[control]\npath = \"/%t\"", "f:2:8: there is only one such socket"},
      {"[control]\npath = \"/s\"", "f:2:8: there is a socket \"/s\" already, in f line 3"},
      {"[control]\npath = \"/" + std::string(107, 'x') + "\"", "f:2:8: the path \"/xxx"},
      {"[metrics]\nsocket = \"/s\"", "f:2:10: there is a socket \"/s\" already"},
      {"[metrics]\nsockets = \"/s\"", "f:2:1: "},
      {"[metrics]\nmode = \"99\"", "f:2:8: \"mode\" is \"99\""},
      {"[metrics]\nlisten = 9779", "f:2:10: "},
      {"[metrics]\ntextfile = \"t.prom\"", "f:2:12: \"textfile\" is \"t.prom\""},
      {"[metrics]\ntextfile = \"/t/\"", "f:2:12: "},
      {"[metrics]\ninterval = \"10ms\"", "f:2:12: "},
      {"[metrics]\ninterval = \"2h\"", "f:2:12: "},
      {"[metrics]\nsocket = \"/c\"\n[control]\npath = \"/c\"", "f:2:10: this is the socket of"},
  }));
  const auto found = mistakes(text);
  INFO(text);
  REQUIRE(found.size() == 1);
  CHECK(found[0].substr(0, mistake.size()) == mistake);
}

TEST_CASE("the control socket has its usual place", "[conf][config]") {
  conf::Config config;
  const auto place = [&](std::vector<std::string> sockets) {
    config.listen.clear();
    for (std::string& path : sockets) config.listen.emplace_back().path = std::move(path);
    return proxy::control_path(config, "/run/virtgate");
  };
  CHECK(place({"/run/virtgate/virtgate-sock"}) == "/run/virtgate/control");
  CHECK(place({"/a/b", "/run/virtgate/x"}) == "/run/virtgate/control");
  CHECK(place({"@a", "/a/b", "/a/c"}) == "/a/b.control");
  CHECK(place({"/run/virtgate/deeper/x"}) == "/run/virtgate/deeper/x.control");
  CHECK(place({"@a"}).empty());
  config.control.path = "/c";
  CHECK(place({"@a"}) == "/c");
}
