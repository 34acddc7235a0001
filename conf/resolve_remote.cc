#include "conf/resolve_remote.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "conf/mask.h"
#include "conf/parameters.h"
#include "conf/ssh_command.h"
#include "conf/target.h"
#include "conf/text.h"

namespace conf {
namespace {

using Wrong = std::optional<std::string>;

constexpr std::array<std::string_view, 3> kInProcess = {"libssh", "libssh2", "ssh"};

class RemoteDriver {
 public:
  RemoteDriver(Resolution& out, const ClientEnvironment& environment, const LibvirtConf& libvirt,
               const Exists& exists)
      : out_(out), environment_(environment), libvirt_(libvirt), exists_(exists) {}

  Wrong run();

 private:
  Wrong read_transport();
  Wrong read_values();
  Wrong read_mode();
  Wrong read_proxy();
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
  SocketMode mode_ = SocketMode::automatic;
  std::optional<tunnel::RemoteProxy> proxy_;
  bool no_verify_ = false;
  bool no_sanity_ = false;
  bool no_tty_ = false;
  bool user_daemon_ = false;
};

Wrong RemoteDriver::run() {
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

Wrong RemoteDriver::read_transport() {
  if (!transport_of(uri())) return no_transport(uri().transport);
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
Wrong RemoteDriver::read_values() {
  if (Wrong wrong = read_switch(uri(), "no_verify", no_verify_)) return wrong;
  if (Wrong wrong = read_switch(uri(), "no_sanity", no_sanity_)) return wrong;
  if (Wrong wrong = read_switch(uri(), "no_tty", no_tty_)) return wrong;
  if (Wrong wrong = read_mode()) return wrong;
  return read_proxy();
}

Wrong RemoteDriver::read_mode() {
  const auto given = given_mode(uri(), libvirt_.remote_mode);
  if (!given) return given.error();
  if (!*given) return std::nullopt;
  mode_ = (*given)->value;
  step((*given)->where + " chooses the sockets: " + (*given)->word);
  return std::nullopt;
}

Wrong RemoteDriver::read_proxy() {
  const auto given = given_proxy(uri(), libvirt_.remote_proxy);
  if (!given) return given.error();
  if (!*given) return std::nullopt;
  proxy_ = (*given)->value;
  if (is_ssh()) step((*given)->where + " chooses the far host's helper: " + (*given)->word);
  return std::nullopt;
}

// A client finds this out only when it has connected, but then always.
Wrong RemoteDriver::read_auth() {
  const auto auth = given_auth(uri());
  if (!auth) return auth.error();
  if (*auth)
    step("auth= insists on " + quoted(**auth) + "; a daemon that does not offer it is left");
  return std::nullopt;
}

void RemoteDriver::say_name() {
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

void RemoteDriver::sort_parameters() {
  const bool room = !uri().parameter("name") && out_.driver != "remote";
  const auto& all = uri().parameters;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string& name = all[i].first;
    ParameterMeaning meaning{name, all[i].second,
                             room ? ParameterUse::passed_on : ParameterUse::dropped};
    if (const Parameter* known = find_parameter(name)) {
      meaning.use =
          used_by_libvirt(*known, out_.transport) ? ParameterUse::here : ParameterUse::stripped;
      const bool again =
          std::any_of(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
                      [&](const auto& later) { return same_ignoring_case(later.first, name); });
      if (again) meaning.use = ParameterUse::overridden;
    }
    out_.parameters.push_back(std::move(meaning));
  }
}

void RemoteDriver::say_flags() {
  if (user_daemon_) {
    out_.flags |= kOpenUserDaemon;
    const bool local = out_.transport == "unix" && uri().host.empty();
    if (local && environment_.libvirt_autostart.value_or("1") != "0") out_.flags |= kOpenAutostart;
    step("the daemon of the user's own session is meant");
  } else if (uri().path == "/session" && environment_.process.uid == 0) {
    step("root has no session of its own: the system's daemon is meant");
  }
}

Wrong RemoteDriver::reach() {
  if (out_.transport == "unix") return reach_unix();
  if (out_.transport == "ext") return reach_ext();
  out_.host = uri().host_or_localhost();
  return is_ssh() ? reach_ssh() : reach_host();
}

Wrong RemoteDriver::reach_unix() {
  if (!uri().host.empty()) {
    return "the transport unix does not leave this host, and the URI names the host " +
           quoted(uri().host);
  }
  return choose_socket(true);
}

Wrong RemoteDriver::reach_host() {
  out_.port = uri().port != 0 ? uri().port : (out_.transport == "tls" ? kTlsPort : kTcpPort);
  step("the client connects to " + quoted(out_.host) + ", port " + std::to_string(out_.port));
  return std::nullopt;
}

Wrong RemoteDriver::reach_ext() {
  const auto command = uri().parameter("command");
  if (!command) return "the transport ext needs command=, the program that is the connection";
  out_.command = {*command};
  step("the client starts " + quoted(*command) + ", without arguments");
  return find_program();
}

Wrong RemoteDriver::find_program() {
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

Wrong RemoteDriver::choose_helper() {
  proxy_ = chosen_proxy(uri(), proxy_, user_daemon_);
  if (proxy_) return std::nullopt;
  return "netcat= says to use netcat, and virt-ssh-helper is what is used here (proxy=native, or "
         "a session)";
}

Wrong RemoteDriver::reach_ssh() {
  if (Wrong wrong = choose_socket(false)) return wrong;
  if (Wrong wrong = choose_helper()) return wrong;
  RemoteCommand remote;
  remote.helper = *proxy_;
  remote.netcat = uri().parameter("netcat").value_or("nc");
  remote.socket = *out_.socket;
  remote.name = *out_.name;
  remote.read_only = read_only();
  const std::string command = remote_command(remote);
  if (*proxy_ == tunnel::RemoteProxy::native) {
    out_.socket.reset();
    out_.candidates.clear();
    step("virt-ssh-helper on the far host finds the daemon's socket there");
  } else {
    step((*proxy_ == tunnel::RemoteProxy::automatic
              ? "virt-ssh-helper on the far host finds the daemon's "
                "socket; where it is not installed, netcat connects to "
              : "netcat on the far host connects to ") +
         quoted(*out_.socket));
  }
  if (out_.transport != "ssh") {
    out_.port = uri().port != 0 ? uri().port : tunnel::kSshPort;
    if (out_.user.empty()) out_.user = "root";
    step("a library inside the client connects to " + quoted(out_.host) + ", port " +
         std::to_string(out_.port) + ", as " + quoted(masked_user(out_.user)) +
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

Wrong RemoteDriver::choose_socket(bool local) {
  if (auto given = uri().parameter("socket")) {
    out_.candidates = {{*given, local ? std::optional<bool>(exists_(*given)) : std::nullopt}};
    if (local) step("socket= names the socket, whatever else is there");
    out_.socket = std::move(given);
    return std::nullopt;
  }
  if (mode_ == SocketMode::direct && !local) {
    return "the mode direct is for the transport unix; another host's sockets are its own to "
           "choose";
  }
  if (mode_ == SocketMode::direct && !named()) {
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
  if (named() && local && mode_ != SocketMode::legacy) direct_there = candidate(direct);
  if (mode_ != SocketMode::direct) candidate(legacy);
  out_.socket = mode_ == SocketMode::direct || direct_there ? direct : legacy;
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
  return RemoteDriver(to, environment, libvirt, exists).run();
}

}  // namespace conf
