// Paths, modes and groups of sockets are read from systemd's units and their drop-ins, and a mode
// or group that a unit overrides is reported.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include "proxy/service/doubts.h"
#include "proxy/service/socket_units.h"
#include "tests/unit/support/catch.h"

namespace {

// A folder of units, which goes with it.
class Units {
 public:
  Units() { std::filesystem::create_directories(path("sockets.target.wants")); }
  Units(const Units&) = delete;
  Units& operator=(const Units&) = delete;
  ~Units() { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name)) << text;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + '/' + name; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  std::string folder_ =
      std::filesystem::temp_directory_path() / ("virtgate-units-" + std::to_string(::getpid()));
};

constexpr const char* kUnit =
    "[Socket]\nListenStream=/run/virtgate/virtgate-sock\nSocketGroup=root\nSocketMode=0660\n";

conf::Listen socket_at(const std::string& path, mode_t mode) {
  conf::Listen listen;
  listen.path = path;
  listen.mode = mode;
  return listen;
}

}  // namespace

TEST_CASE("units say where their sockets are, and who may use them", "[service][units]") {
  const Units units;
  units.write("sockets.target.wants/virtgate.socket", kUnit);
  units.write("sockets.target.wants/virtgate@hail.socket",
              "[Socket]\nListenStream=/run/virtgate/%i\n");
  units.write("sockets.target.wants/other.socket", "[Socket]\nListenStream=/run/other\n");
  units.write("virtgate.socket.d/override.conf", "[Socket]\nSocketMode=0600\n");
  const auto found = proxy::socket_units(units.folder());
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "virtgate.socket");
  CHECK(found[0].path == "/run/virtgate/virtgate-sock");
  CHECK(found[0].mode == 0600);
  CHECK(found[0].group == "root");
  CHECK(found[1].path == "/run/virtgate/hail");
  CHECK(found[1].mode == 0666);
  CHECK(proxy::socket_units(units.path("nowhere")).empty());
}

TEST_CASE("sockets for everybody are told by the mode that they have", "[service][units]") {
  conf::Config config;
  config.listen = {socket_at("/run/a", 0666), socket_at("/run/b", 0660), socket_at("@c", 0660)};
  std::uint32_t line = 0;
  for (conf::Listen& listen : config.listen) listen.position = {"f", ++line, 1};
  using Lines = std::vector<std::uint32_t>;
  const auto told = [&](const proxy::ModeOf& mode_of) {
    Lines lines;
    for (const auto& one : proxy::open_to_everybody(config, mode_of)) {
      lines.push_back(one.position.line);
    }
    return lines;
  };
  const auto configured = [](const conf::Listen& listen) { return listen.mode; };
  const auto swapped = [](const conf::Listen& listen) -> mode_t {
    return listen.mode == 0666 ? 0660 : 0666;
  };
  CHECK(told(configured) == Lines{1, 3});
  CHECK(told(swapped) == Lines{2, 3});
  config.rules.otherwise = policy::NoRule::deny;
  CHECK(told(swapped).empty());
}

TEST_CASE("a mode or group that a unit overrides is told", "[service][units]") {
  const std::string path = "/run/virtgate/virtgate-sock";
  const std::vector<proxy::SocketUnit> units = {{"virtgate.socket", path, 0660, "root"}};
  conf::Config config;
  const auto said = [&] {
    std::vector<std::string> out;
    for (const auto& one : proxy::ignored_access(config, units)) out.push_back(one.text);
    return out;
  };
  config.listen = {socket_at(path, 0666), socket_at("/elsewhere", 0666)};
  CHECK(said() ==
        std::vector<std::string>{
            "mode \"0666\" is ignored: virtgate.socket makes this socket, with mode 0660; "
            "set SocketMode= with \"systemctl edit virtgate.socket\", then \"systemctl "
            "restart virtgate.socket\""});
  config.listen = {socket_at(path, 0660)};
  CHECK(said().empty());
  config.listen[0].group = 0;
  CHECK(said().empty());
  config.listen[0].group = 12345;
  CHECK(said() == std::vector<std::string>{
                      "\"group\" is ignored: virtgate.socket makes this socket, with the group "
                      "\"root\"; set SocketGroup= with \"systemctl edit virtgate.socket\", then "
                      "\"systemctl restart virtgate.socket\""});
}
