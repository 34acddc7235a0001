#include "conf/drivers.h"

#include <algorithm>
#include <array>
#include <span>

#include "conf/parameters.h"
#include "conf/text.h"

namespace conf {
namespace {

using tunnel::Transport;

using Words = std::span<const std::string_view>;

constexpr std::array<std::string_view, 2> kEither = {"/system", "/session"};
constexpr std::array<std::string_view, 1> kSystem = {"/system"};
constexpr std::array<std::string_view, 3> kSystemOrNone = {"/system", "/", ""};

struct Driver {
  std::string_view name;
  bool modular = false;
  // That its daemon takes; empty: any.
  Words paths;
};

constexpr std::array<Driver, 24> kDrivers = {{
    {"qemu", true, kEither},      {"xen", true, kSystemOrNone},
    {"lxc", true, kSystemOrNone}, {"vbox", true, kEither},
    {"bhyve", true, kEither},     {"vz", true, kEither},
    {"ch", true, kEither},        {"network", true, kEither},
    {"storage", true, kEither},   {"nodedev", true, kEither},
    {"secret", true, kEither},    {"nwfilter", true, kEither},
    {"interface", true, kEither}, {"parallels", false, kSystem},
    {"openvz", false, kSystem},   {"test", false, {}},
    {"remote", false, {}},        {"vmwareplayer", false, {}},
    {"vmwarews", false, {}},      {"vmwarefusion", false, {}},
    {"esx", false, {}},           {"vpx", false, {}},
    {"gsx", false, {}},           {"hyperv", false, {}},
}};
constexpr std::array<std::string_view, 3> kSlashDrivers = {"qemu", "vbox", "vz"};

const Driver* find_driver(std::string_view name) {
  const auto found = std::find_if(kDrivers.begin(), kDrivers.end(),
                                  [&](const Driver& driver) { return driver.name == name; });
  return found == kDrivers.end() ? nullptr : &*found;
}

std::optional<std::string> odd_parameter(const TargetConfig& target, const std::string& name) {
  const Transport transport = target.tunnel.transport;
  const Parameter* known = find_parameter(name);
  if (known != nullptr) {
    if (used_by_gate(*known, transport)) return std::nullopt;
    std::string way = target.parsed.transport;
    if (way.empty()) way = transport == Transport::unix ? "unix" : "tls";
    return std::string(known->name) + "= has no effect with the transport " + way;
  }
  const std::string did = did_you_mean(name, transport_parameters(), &Parameter::name);
  if (did.empty()) return std::nullopt;
  return quoted(name) + " is not a parameter of the connection, so the driver gets it" + did;
}

// The other doubts would show the password.
bool has_no_driver(const TargetConfig& target) {
  const std::string& text = target.uri;
  const std::size_t colon = text.find(':');
  return find_driver(target.parsed.driver) == nullptr && colon != std::string::npos &&
         text.find('@', colon) != std::string::npos && text.find('/') > text.find('@', colon);
}

}  // namespace

bool has_modular_daemon(std::string_view driver) {
  const Driver* found = find_driver(driver);
  return found != nullptr && found->modular;
}

bool is_slash_driver(std::string_view driver) {
  return std::find(kSlashDrivers.begin(), kSlashDrivers.end(), driver) != kSlashDrivers.end();
}

std::optional<std::string> odd_driver(const Uri& uri) {
  const Driver* driver = find_driver(uri.driver);
  if (driver == nullptr) {
    return "libvirt has no driver " + quoted(uri.driver) +
           did_you_mean(uri.driver, kDrivers, &Driver::name);
  }
  const bool fits = driver->paths.empty() || std::find(driver->paths.begin(), driver->paths.end(),
                                                       uri.path) != driver->paths.end();
  if (fits || uri.path == "/embed") return std::nullopt;
  const std::string who = "the driver " + quoted(uri.driver);
  if (uri.path.size() < 2) return who + " needs a path, such as " + quoted(driver->paths.front());
  return who + " does not open the path " + quoted(uri.path) +
         did_you_mean(uri.path, driver->paths);
}

std::vector<std::string> doubts_about(const TargetConfig& target) {
  std::vector<std::string> out;
  if (target.protocol != Protocol::rpc) return out;
  const Uri& uri = target.parsed;
  if (has_no_driver(target)) return {"no driver is named; is this a user, a password and a host?"};
  if (!uri.parameter("name")) {
    if (auto odd = odd_driver(uri)) out.push_back(std::move(*odd));
  }
  for (const auto& [name, value] : uri.parameters) {
    if (auto odd = odd_parameter(target, name)) out.push_back(std::move(*odd));
  }
  const Transport transport = target.tunnel.transport;
  if (!uri.user.empty() && (transport == Transport::tcp || transport == Transport::tls)) {
    out.push_back("the user " + quoted(uri.user) + " has no effect: tls and tcp log in by SASL, " +
                  "with the name that authfile= has");
  }
  return out;
}

}  // namespace conf
