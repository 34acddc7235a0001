#include "conf/resolve_remote.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "conf/ssh_command.h"
#include "conf/target.h"
#include "conf/text.h"

namespace conf {
namespace {

using Wrong = std::optional<std::string>;

enum class Mode : std::uint8_t { automatic, legacy, direct };

constexpr std::array<std::string_view, 3> kInProcess = {"libssh", "libssh2", "ssh"};

// Which transports take a parameter for themselves; "*" means all.
struct Taker {
  std::string_view parameter;
  std::string_view transports;  // between blanks
};
constexpr std::array<Taker, 17> kTakers = {{
    {"name", "*"},
    {"mode", " unix ssh libssh libssh2 "},
    {"socket", " unix ssh libssh libssh2 "},
    {"proxy", " ssh libssh libssh2 "},
    {"command", " ssh ext "},
    {"netcat", " ssh libssh libssh2 "},
    {"keyfile", " ssh libssh libssh2 "},
    {"no_tty", " ssh "},
    {"no_verify", " ssh tls "},
    {"no_sanity", " tls "},
    {"known_hosts", " libssh libssh2 "},
    {"known_hosts_verify", " libssh libssh2 "},
    {"sshauth", " libssh libssh2 "},
    {"pkipath", " tls "},
    {"tls_priority", " tls "},
    {"auth", "*"},
    {"authfile", "*"},
}};

bool takes(std::string_view transport, std::string_view parameter) {
  return std::any_of(kTakers.begin(), kTakers.end(), [&](const Taker& taker) {
    return same_ignoring_case(taker.parameter, parameter) &&
           (taker.transports == "*" ||
            taker.transports.find(' ' + std::string(transport) + ' ') != std::string_view::npos);
  });
}

class Remote {
 public:
  Remote(Resolution& out, const ClientEnvironment& environment, const LibvirtConf& libvirt,
         const Exists& exists)
      : out_(out), environment_(environment), libvirt_(libvirt), exists_(exists) {}

  Wrong run();

 private:
  Wrong read_transport();
  Wrong read_values();
  Wrong read_mode();
  Wrong read_proxy();
  Wrong read_switch(std::string_view name, bool& to);
  Wrong read_auth();
  Wrong reach();
  Wrong reach_unix();
  Wrong reach_host();
  Wrong reach_ssh();
  Wrong reach_ext();
  Wrong choose_helper();
  Wrong choose_socket(bool local);
  Wrong find_program();
  void say_flags();
  void say_name();
  void sort_parameters();

  [[nodiscard]] const Uri& uri() const { return out_.parsed; }
  [[nodiscard]] bool named() const { return !out_.driver.empty(); }
  [[nodiscard]] bool read_only() const { return (out_.flags & kConnectReadOnly) != 0; }
  [[nodiscard]] bool is_ssh() const {
    return std::find(kInProcess.begin(), kInProcess.end(), out_.transport) != kInProcess.end();
  }
  void step(std::string text) { out_.steps.push_back(std::move(text)); }

  Resolution& out_;
  const ClientEnvironment& environment_;
  const LibvirtConf& libvirt_;
  const Exists& exists_;
  Mode mode_ = Mode::automatic;
  std::optional<RemoteHelper> proxy_;
  bool no_verify_ = false;
  bool no_sanity_ = false;
  bool no_tty_ = false;
  bool user_daemon_ = false;
};

Wrong Remote::run() {
  const Environment& process = environment_.process;
  user_daemon_ = named() ? means_user_daemon(uri(), process) : process.uid != 0;
  if (Wrong wrong = read_transport()) return wrong;
  if (Wrong wrong = read_values()) return wrong;
  say_name();
  sort_parameters();
  say_flags();
  if (Wrong wrong = reach()) return wrong;
  return read_auth();
}

Wrong Remote::read_transport() {
  if (!transport_of(uri())) {
    return "there is no transport " + quoted(uri().transport) +
           "; there are unix, tcp, tls, ssh, libssh, libssh2 and ext";
  }
  out_.transport = uri().transport;
  std::string why = "named";
  if (out_.transport.empty()) {
    out_.transport = uri().host.empty() ? "unix" : "tls";
    why = uri().host.empty() ? "meant, for there is no host" : "meant, for there is a host";
  }
  out_.secure = out_.transport != "tcp" && out_.transport != "ext";
  const std::string driver = named() ? "the driver " + quoted(out_.driver) : "whichever driver";
  step(driver + " is reached through a daemon; the transport " + out_.transport + " is " + why);
  return std::nullopt;
}

// What is wrong in them is so for every transport.
Wrong Remote::read_values() {
  if (Wrong wrong = read_switch("no_verify", no_verify_)) return wrong;
  if (Wrong wrong = read_switch("no_sanity", no_sanity_)) return wrong;
  if (Wrong wrong = read_switch("no_tty", no_tty_)) return wrong;
  if (Wrong wrong = read_mode()) return wrong;
  return read_proxy();
}

Wrong Remote::read_switch(std::string_view name, bool& to) {
  const auto value = uri().parameter(name);
  if (!value) return std::nullopt;
  const auto on = switch_value(*value);
  if (!on) {
    return std::string(name) + "= is " + quoted(*value) + "; it must be a decimal number";
  }
  to = *on;
  return std::nullopt;
}

Wrong Remote::read_mode() {
  const auto given = uri().parameter("mode");
  if (!given && libvirt_.remote_mode.empty()) return std::nullopt;
  const std::string mode = given.value_or(libvirt_.remote_mode);
  const std::string where = given ? "mode=" : "remote_mode of libvirt.conf";
  if (mode == "legacy") {
    mode_ = Mode::legacy;
  } else if (mode == "direct") {
    mode_ = Mode::direct;
  } else if (mode != "auto") {
    return where + " is " + quoted(mode) + "; it must be auto, legacy or direct";
  }
  step(where + " chooses the sockets: " + mode);
  return std::nullopt;
}

Wrong Remote::read_proxy() {
  const auto given = uri().parameter("proxy");
  if (!given && libvirt_.remote_proxy.empty()) return std::nullopt;
  const std::string proxy = given.value_or(libvirt_.remote_proxy);
  const std::string where = given ? "proxy=" : "remote_proxy of libvirt.conf";
  if (proxy == "netcat") {
    proxy_ = RemoteHelper::netcat;
  } else if (proxy == "native") {
    proxy_ = RemoteHelper::native;
  } else if (proxy == "auto") {
    proxy_ = RemoteHelper::automatic;
  } else {
    return where + " is " + quoted(proxy) + "; it must be auto, netcat or native";
  }
  if (is_ssh()) step(where + " chooses the far host's helper: " + proxy);
  return std::nullopt;
}

// A client finds this out only when it has connected, but then always.
Wrong Remote::read_auth() {
  const auto auth = uri().parameter("auth");
  if (!auth) return std::nullopt;
  if (*auth != "sasl" && *auth != "polkit" && !auth->starts_with("sasl.")) {
    return "auth= is " + quoted(*auth) + "; it must be sasl, sasl.MECHANISM or polkit";
  }
  step("auth= insists on " + quoted(*auth) + "; a daemon that does not offer it is left");
  return std::nullopt;
}

void Remote::say_name() {
  const bool renamed = uri().parameter("name").has_value();
  out_.name = named() ? connect_name(uri()) : std::string();
  if (!named()) {
    step("the open sends an empty name, and the client asks the daemon afterwards what it opened");
  } else if (renamed) {
    step("name= replaces what the open sends: " + quoted(*out_.name));
  } else if (out_.name->empty()) {
    step("the driver \"remote\" means that the open sends an empty name");
  } else {
    step("the open sends the name " + quoted(*out_.name));
  }
}

void Remote::sort_parameters() {
  const bool room = !uri().parameter("name") && out_.driver != "remote";
  const auto& all = uri().parameters;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [name, value] = all[i];
    ParameterMeaning meaning{name, value, room ? ParameterUse::passed_on : ParameterUse::dropped};
    if (is_transport_parameter(name)) {
      meaning.use = takes(out_.transport, name) ? ParameterUse::here : ParameterUse::stripped;
      const bool again =
          std::any_of(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
                      [&](const auto& later) { return same_ignoring_case(later.first, name); });
      if (again) meaning.use = ParameterUse::overridden;
    }
    out_.parameters.push_back(std::move(meaning));
  }
}

void Remote::say_flags() {
  if (user_daemon_) {
    out_.flags |= kOpenUserDaemon;
    const bool local = out_.transport == "unix" && uri().host.empty();
    if (local && environment_.libvirt_autostart.value_or("1") != "0") out_.flags |= kOpenAutostart;
    step("the daemon of the user's own session is meant");
  } else if (uri().path == "/session" && environment_.process.uid == 0) {
    step("root has no session of its own: the system's daemon is meant");
  }
}

Wrong Remote::reach() {
  if (out_.transport == "unix") return reach_unix();
  if (out_.transport == "ext") return reach_ext();
  if (out_.host.empty()) out_.host = "localhost";
  return is_ssh() ? reach_ssh() : reach_host();
}

Wrong Remote::reach_unix() {
  if (!uri().host.empty()) {
    return "the transport unix does not leave this host, and the URI names the host " +
           quoted(uri().host);
  }
  return choose_socket(true);
}

Wrong Remote::reach_host() {
  out_.port = uri().port != 0 ? uri().port : (out_.transport == "tls" ? kTlsPort : kTcpPort);
  step("the client connects to " + quoted(out_.host) + ", port " + std::to_string(out_.port));
  return std::nullopt;
}

Wrong Remote::reach_ext() {
  const auto command = uri().parameter("command");
  if (!command) return "the transport ext needs command=, the program that is the connection";
  out_.command = {*command};
  step("the client starts " + quoted(*command) + ", without arguments");
  return find_program();
}

Wrong Remote::find_program() {
  const std::string& program = out_.command[0];
  if (program.find('/') != std::string::npos) {
    if (exists_(program)) return std::nullopt;
    return "there is no program " + quoted(program);
  }
  for (std::string_view rest = environment_.search_path; !program.empty() && !rest.empty();) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
    if (!folder.empty() && exists_(std::string(folder) + '/' + program)) return std::nullopt;
  }
  return "there is no program " + quoted(program) + " in the folders of PATH";
}

Wrong Remote::choose_helper() {
  const bool netcat = uri().parameter("netcat").has_value();
  if (!proxy_) {
    proxy_ = RemoteHelper::automatic;
    if (uri().parameter("socket")) {
      proxy_ = RemoteHelper::netcat;
    } else if (user_daemon_) {
      proxy_ = RemoteHelper::native;
    }
  }
  if (netcat && *proxy_ == RemoteHelper::native) {
    return "netcat= says to use netcat, and virt-ssh-helper is what is used here (proxy=native, or "
           "a session)";
  }
  if (netcat) proxy_ = RemoteHelper::netcat;
  return std::nullopt;
}

Wrong Remote::reach_ssh() {
  if (Wrong wrong = choose_socket(false)) return wrong;
  if (Wrong wrong = choose_helper()) return wrong;
  RemoteCommand remote;
  remote.helper = *proxy_;
  remote.netcat = uri().parameter("netcat").value_or("nc");
  remote.socket = *out_.socket;
  remote.name = *out_.name;
  remote.read_only = read_only();
  const std::string command = remote_command(remote);
  if (*proxy_ == RemoteHelper::native) {
    out_.socket.reset();
    out_.candidates.clear();
    step("virt-ssh-helper on the far host finds the daemon's socket there");
  } else {
    step((*proxy_ == RemoteHelper::automatic
              ? "virt-ssh-helper on the far host finds the daemon's "
                "socket; where it is not installed, netcat connects to "
              : "netcat on the far host connects to ") +
         quoted(*out_.socket));
  }
  if (out_.transport != "ssh") {
    out_.port = uri().port != 0 ? uri().port : kSshPort;
    if (out_.user.empty()) out_.user = "root";
    step("a library inside the client connects to " + quoted(out_.host) + ", port " +
         std::to_string(out_.port) + ", as " + quoted(out_.user) +
         ", and runs there: " + quoted(command));
    return std::nullopt;
  }
  SshLogin login;
  login.program = uri().parameter("command").value_or("ssh");
  login.port = uri().port;
  login.user = uri().user;
  login.keyfile = uri().parameter("keyfile");
  login.no_tty = no_tty_;
  login.no_verify = no_verify_;
  login.host = out_.host;
  out_.command = ssh_arguments(login, command);
  step("the client starts " + quoted(login.program) + " for " + quoted(out_.host));
  return find_program();
}

Wrong Remote::choose_socket(bool local) {
  if (auto given = uri().parameter("socket")) {
    out_.candidates = {{*given, local ? std::optional<bool>(exists_(*given)) : std::nullopt}};
    if (local) step("socket= names the socket, whatever else is there");
    out_.socket = std::move(given);
    return std::nullopt;
  }
  if (mode_ == Mode::direct && !local) {
    return "the mode direct is for the transport unix; another host's sockets are its own to "
           "choose";
  }
  if (mode_ == Mode::direct && !named()) {
    return "the mode direct needs a URI, for each driver has its own daemon";
  }
  const std::string folder =
      user_daemon_ ? user_socket_folder(environment_.process) : "/var/run/libvirt";
  const std::string suffix = !user_daemon_ && read_only() ? "-sock-ro" : "-sock";
  const std::string direct = folder + "/virt" + out_.driver + 'd' + suffix;
  const std::string legacy = folder + "/libvirt" + suffix;
  const auto candidate = [&](const std::string& path) {
    out_.candidates.push_back({path, local ? std::optional<bool>(exists_(path)) : std::nullopt});
    return out_.candidates.back().exists.value_or(false);
  };
  bool direct_there = false;
  if (named() && local && mode_ != Mode::legacy) direct_there = candidate(direct);
  if (mode_ != Mode::direct) candidate(legacy);
  out_.socket = mode_ == Mode::direct || direct_there ? direct : legacy;
  if (local) step("the socket is " + quoted(*out_.socket));
  const bool there = direct_there || out_.candidates.back().exists.value_or(true);
  if (!there && (out_.flags & kOpenAutostart) != 0) {
    step("it is not there, so the client starts the daemon first");
  } else if (!there) {
    step("it is not there, so connecting fails");
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> resolve_remote(Resolution& to, const ClientEnvironment& environment,
                                          const LibvirtConf& libvirt, const Exists& exists) {
  return Remote(to, environment, libvirt, exists).run();
}

}  // namespace conf
