#include "conf/target.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/this_host.h"
#include "conf/drivers.h"
#include "conf/parameters.h"
#include "conf/socket_path.h"
#include "conf/text.h"
#include "conf/xend_target.h"

namespace conf {
namespace {

using tunnel::Transport;
using Wrong = std::optional<std::string>;

constexpr std::size_t kLongestTargetName = 64;

// Drivers that talk to the hypervisor themselves, in the process of the client.
constexpr std::array<std::string_view, 4> kClientOnlyDrivers = {"esx", "vpx", "gsx", "hyperv"};
// Drivers that do so too unless the URI says where there is a daemon.
constexpr std::array<std::string_view, 4> kLocalDrivers = {"openvz", "vmwareplayer", "vmwarews",
                                                           "vmwarefusion"};
template <std::size_t N>
bool holds(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The work on one target: what has been read of its URI so far.
struct TargetDraft {
  const Environment& environment;
  SocketAccess access = SocketAccess::read_only;
  TargetConfig target;
  SocketMode mode = SocketMode::automatic;

  [[nodiscard]] const Uri& uri() const { return target.parsed; }
  [[nodiscard]] tunnel::Target& tunnel() { return target.tunnel; }
};

Wrong wrong_driver(const Uri& uri) {
  if (holds(kClientOnlyDrivers, uri.driver)) {
    return "the driver " + quoted(uri.driver) +
           " works inside its client and speaks the hypervisor's own protocol; there is no libvirt "
           "daemon that a gate could ask";
  }
  if (holds(kLocalDrivers, uri.driver) && uri.transport.empty() && uri.host.empty()) {
    return "the driver " + quoted(uri.driver) +
           " works inside its client when the URI has neither transport nor host; to ask the "
           "daemon of this host, write " +
           quoted(uri.driver + "+unix://" + uri.path);
  }
  if (uri.path == "/embed") {
    return "the path /embed means a driver inside its client, and no daemon that a gate could ask";
  }
  const bool system_host = uri.host == "system" || uri.host == "session";
  if (uri.transport.empty() && system_host && is_slash_driver(uri.driver)) {
    return quoted(uri.host) + " is the host in this URI; with three slashes, " +
           quoted(uri.driver + ":///" + uri.host) + ", it would be the path";
  }
  return std::nullopt;
}

Wrong read_mode(TargetDraft& draft) {
  const auto given = given_mode(draft.uri(), draft.environment.remote_mode);
  if (!given) return given.error();
  if (*given) draft.mode = (*given)->value;
  return std::nullopt;
}

Wrong read_proxy(TargetDraft& draft) {
  const auto given = given_proxy(draft.uri(), draft.environment.remote_proxy);
  if (!given) return given.error();
  if (*given) draft.tunnel().proxy = (*given)->value;
  return std::nullopt;
}

// A value that cannot be what anybody meant is found here, before it reaches a shell, a path or a
// log.
Wrong wrong_values(const Uri& uri) {
  if (has_controls(uri.user)) return "the user has control characters";
  if (const std::size_t colon = uri.user.find(':'); colon != std::string::npos) {
    return "the URI has a password after the user " + quoted(uri.user.substr(0, colon)) +
           ", which libvirt takes as a part of the name; leave it out, and name a key with "
           "keyfile= (ssh) or a file of credentials with authfile= (SASL)";
  }
  if (has_controls(uri.host)) return "the host has control characters";
  for (const auto& [name, value] : uri.parameters) {
    if (is_transport_parameter(name) && has_controls(value) && lower(name) != "name" &&
        !lower(name).starts_with("no_")) {
      return lower(name) + "= has control characters";
    }
  }
  return std::nullopt;
}

// The value of a parameter that makes no sense without one.
Wrong read_text(const Uri& uri, std::string_view name, std::string& to) {
  auto value = uri.parameter(name);
  if (!value) return std::nullopt;
  if (value->empty()) return std::string(name) + "= is empty";
  to = std::move(*value);
  return std::nullopt;
}

Wrong read_auth(TargetDraft& draft) {
  AuthSettings& out = draft.target.auth;
  const auto auth = given_auth(draft.uri());
  if (!auth) return auth.error();
  if (*auth) out.request = **auth;
  return read_text(draft.uri(), "authfile", out.authfile);
}

// libvirt's clients say /var/run, its daemons /run; on hosts that have both they are the same.
constexpr std::string_view kLocalFolder = "/run/libvirt/";
constexpr std::string_view kFarFolder = "/var/run/libvirt/";

// A gate that is told to use the read-write socket of a system daemon uses its read-only one.
std::string read_only_sibling(std::string path) {
  std::string_view name = path;
  for (const std::string_view folder : {kLocalFolder, kFarFolder}) {
    if (name.starts_with(folder)) name.remove_prefix(folder.size());
  }
  if (name.size() == path.size() || name.find('/') != std::string_view::npos) return path;
  const bool direct = name.starts_with("virt") && name.ends_with("d-sock");
  if (name == "libvirt-sock" || direct) path += "-ro";
  return path;
}

std::vector<std::string> default_sockets(const TargetDraft& draft, std::string folder) {
  std::string suffix = draft.access == SocketAccess::read_write ? "-sock" : "-sock-ro";
  // A user's own daemon has one socket: whoever reaches it is its user, so it has no readers.
  if (means_user_daemon(draft.uri(), draft.environment)) {
    folder = user_socket_folder(draft.environment) + '/';
    suffix = "-sock";
  }
  const std::string& driver = draft.uri().driver;
  std::vector<std::string> sockets;
  if (draft.mode == SocketMode::direct ||
      (draft.mode == SocketMode::automatic && has_modular_daemon(driver))) {
    sockets.push_back(folder + "virt" + driver + 'd' + suffix);
  }
  // The modular daemon first: where both are installed, libvirtd's socket may be a left-over that
  // nobody serves.
  if (draft.mode != SocketMode::direct) sockets.push_back(folder + "libvirt" + suffix);
  return sockets;
}

Wrong read_socket(TargetDraft& draft, std::string_view folder) {
  std::vector<std::string>& sockets = draft.tunnel().sockets;
  std::string given;
  if (Wrong wrong = read_text(draft.uri(), "socket", given)) return wrong;
  if (given.empty()) {
    sockets = default_sockets(draft, std::string(folder));
  } else if (given[0] != '/') {
    return "socket= is " + quoted(given) + "; it must be an absolute path";
  } else {
    const bool as_given = draft.access == SocketAccess::read_write;
    sockets.push_back(as_given ? std::move(given) : read_only_sibling(std::move(given)));
  }
  // connect(2) would be given a path that is cut off, which may be somebody else's.
  for (const std::string& path : sockets) {
    if (path.size() > kLongestSocketPath) {
      return "the socket " + quoted(path) + " has " + std::to_string(path.size()) +
             " bytes; a socket's path can have " + std::to_string(kLongestSocketPath);
    }
  }
  return std::nullopt;
}

Wrong read_unix(TargetDraft& draft) {
  if (!draft.uri().host.empty()) {
    return "the transport unix does not leave this host, and the URI names the host " +
           quoted(draft.uri().host);
  }
  return read_socket(draft, kLocalFolder);
}

Wrong read_host(TargetDraft& draft) {
  const std::uint32_t port = port_of(draft.uri(), draft.tunnel().transport);
  if (port > std::numeric_limits<std::uint16_t>::max()) {
    return "the port " + std::to_string(port) + " is too large; the last one is 65535";
  }
  draft.tunnel().host = draft.uri().host_or_localhost();
  draft.tunnel().port = static_cast<std::uint16_t>(port);
  return std::nullopt;
}

Wrong read_tls(TargetDraft& draft) {
  if (draft.uri().parameter("tls_priority")) {
    return "tls_priority= is a setting of libvirt's client: virtgate speaks TLS 1.2 and 1.3, with "
           "ciphers that it has chosen itself";
  }
  return read_text(draft.uri(), "pkipath", draft.tunnel().pkipath);
}

// What would ask a person does not fit a service; it is left out as long as another way remains.
Wrong read_sshauth(TargetDraft& draft) {
  const auto given = draft.uri().parameter("sshauth");
  if (!given) return std::nullopt;
  std::string_view rest = *given;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view method = rest.substr(0, comma);
    more = comma != std::string_view::npos;
    rest.remove_prefix(more ? comma + 1 : rest.size());
    if (method == "agent" || method == "privkey") {
      draft.tunnel().sshauth.emplace_back(method);
    } else if (method != "password" && method != "keyboard-interactive") {
      return "sshauth= has " + quoted(method) +
             "; it must be a list of agent, privkey, password and keyboard-interactive";
    }
  }
  if (!draft.tunnel().sshauth.empty()) return std::nullopt;
  return "sshauth= is " + quoted(*given) +
         ", and these methods ask a person; a gate needs agent or privkey";
}

Wrong read_known_hosts_verify(TargetDraft& draft) {
  const auto given = draft.uri().parameter("known_hosts_verify");
  tunnel::KnownHostsVerify& verify = draft.tunnel().known_hosts_verify;
  if (draft.tunnel().no_verify) verify = tunnel::KnownHostsVerify::ignore;
  if (!given) return std::nullopt;
  if (*given == "normal") {
    verify = tunnel::KnownHostsVerify::normal;
  } else if (*given == "auto") {
    verify = tunnel::KnownHostsVerify::automatic;
  } else if (*given == "ignore") {
    verify = tunnel::KnownHostsVerify::ignore;
  } else {
    return "known_hosts_verify= is " + quoted(*given) + "; it must be normal, auto or ignore";
  }
  return std::nullopt;
}

// proxy=auto is as good as none here. The socket of a user's session has a path that only its own
// host knows.
Wrong choose_proxy(TargetDraft& draft) {
  tunnel::Target& tunnel = draft.tunnel();
  const bool socket = draft.uri().parameter("socket").has_value();
  const bool user_daemon = means_user_daemon(draft.uri(), draft.environment);
  const bool given = tunnel.proxy != tunnel::RemoteProxy::automatic;
  if (user_daemon && !socket) {
    tunnel.sockets.clear();
    if (tunnel.proxy == tunnel::RemoteProxy::netcat || (!given && !tunnel.netcat.empty())) {
      return "netcat needs socket= here: only the far host knows the path of a session's socket";
    }
  }
  const auto chosen =
      chosen_proxy(draft.uri(), given ? std::optional(tunnel.proxy) : std::nullopt, user_daemon);
  if (!chosen) return "netcat= and proxy=native exclude each other";
  tunnel.proxy = *chosen;
  return std::nullopt;
}

// Helpers since 9.1.0 take mode= and socket= from the URI; older ones ignore both.
std::string helper_uri(const TargetDraft& draft) {
  const Uri& uri = draft.uri();
  if (uri.parameter("name") || uri.driver == "remote") return draft.target.connect_name;
  Uri shown = uri;
  shown.fragment.clear();
  std::string out = connect_name(shown);
  if (const auto mode = uri.parameter("mode")) append_parameter(out, "mode", *mode);
  if (uri.parameter("socket")) append_parameter(out, "socket", draft.target.tunnel.sockets.front());
  return out;
}

Wrong read_ssh(TargetDraft& draft) {
  const Uri& uri = draft.uri();
  tunnel::Target& tunnel = draft.tunnel();
  tunnel.user = uri.user;
  for (const auto& [name, to] :
       {std::pair("keyfile", &tunnel.keyfile), std::pair("known_hosts", &tunnel.known_hosts),
        std::pair("netcat", &tunnel.netcat), std::pair("command", &tunnel.command)}) {
    if (Wrong wrong = read_text(uri, name, *to)) return wrong;
  }
  if (Wrong wrong = read_known_hosts_verify(draft)) return wrong;
  if (Wrong wrong = read_sshauth(draft)) return wrong;
  if (Wrong wrong = read_socket(draft, kFarFolder)) return wrong;
  if (Wrong wrong = choose_proxy(draft)) return wrong;
  tunnel.helper_uri = helper_uri(draft);
  return std::nullopt;
}

Wrong read_ext(TargetDraft& draft) {
  draft.tunnel().host = draft.uri().host;
  if (Wrong wrong = read_text(draft.uri(), "command", draft.tunnel().command)) return wrong;
  if (draft.tunnel().command.empty()) return "the transport ext needs command=";
  return std::nullopt;
}

// What libvirt judges whichever transport the URI has.
Wrong read_common(TargetDraft& draft) {
  const Uri& uri = draft.uri();
  bool no_sanity = false;
  if (Wrong wrong = wrong_driver(uri)) return wrong;
  if (Wrong wrong = wrong_values(uri)) return wrong;
  if (Wrong wrong = read_mode(draft)) return wrong;
  if (Wrong wrong = read_proxy(draft)) return wrong;
  if (Wrong wrong = read_switch(uri, "no_verify", draft.tunnel().no_verify)) return wrong;
  if (Wrong wrong = read_switch(uri, "no_sanity", no_sanity)) return wrong;
  if (Wrong wrong = read_switch(uri, "no_tty", draft.tunnel().no_tty)) return wrong;
  return read_auth(draft);
}

Wrong read_transport(TargetDraft& draft) {
  const auto transport = transport_of(draft.uri());
  if (!transport) return no_transport(draft.uri().transport);
  draft.tunnel().transport = *transport;
  if (*transport == Transport::unix) return read_unix(draft);
  if (*transport == Transport::ext) return read_ext(draft);
  if (Wrong wrong = read_host(draft)) return wrong;
  if (*transport == Transport::tls) return read_tls(draft);
  return *transport == Transport::ssh ? read_ssh(draft) : std::nullopt;
}

// The program of command= gets no_verify= as an option of its own.
bool accepts_any_key(const tunnel::Target& target) {
  return target.known_hosts_verify == tunnel::KnownHostsVerify::ignore ||
         (target.no_verify && !target.command.empty());
}

}  // namespace

std::optional<Transport> transport_of(const Uri& uri) {
  if (uri.transport.empty()) return uri.host.empty() ? Transport::unix : Transport::tls;
  return transport_named(uri.transport);
}

std::uint32_t port_of(const Uri& uri, Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return uri.port != 0 ? uri.port : kTcpPort;
    case Transport::tls:
      return uri.port != 0 ? uri.port : kTlsPort;
    case Transport::ssh:
      return uri.port != 0 ? uri.port : tunnel::kSshPort;
    case Transport::unix:
    case Transport::ext:
      break;
  }
  return 0;
}

bool means_user_daemon(const Uri& uri, const Environment& environment) {
  if (environment.uid == 0) return false;
  return uri.path == "/session" || (uri.driver == "test" && !uri.transport.empty());
}

std::optional<std::string> wrong_target_name(std::string_view name) {
  if (name.empty()) return "a target needs a name";
  if (name.size() > kLongestTargetName) {
    return "the name of a target can have " + std::to_string(kLongestTargetName) + " bytes, and " +
           quoted(name) + " has " + std::to_string(name.size());
  }
  const bool fine = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '-';
  });
  if (fine && name[0] != '-' && name != "." && name != "..") return std::nullopt;
  return quoted(name) +
         " cannot be the name of a target; it must be of letters, digits, _ . and -, and not begin "
         "with -";
}

base::Result<TargetConfig, std::string> target_of(std::string_view name, std::string_view uri,
                                                  const Environment& environment,
                                                  SocketAccess access) {
  if (is_xend_form(uri)) return xend_target_of(name, uri);
  auto parsed = parse_uri(uri);
  if (!parsed) {
    return base::Failure{"the URI " + quoted(uri) + " cannot be parsed: " + parsed.error().text +
                         ", at byte " + std::to_string(parsed.error().offset + 1)};
  }
  TargetDraft draft{environment, access, {}};
  draft.tunnel().read_write = access == SocketAccess::read_write;
  draft.target.name = name;
  draft.target.uri = uri;
  draft.target.parsed = std::move(parsed).value();
  draft.target.connect_name = connect_name(draft.uri());
  draft.tunnel().name = name;
  if (has_controls(draft.target.connect_name)) {
    return base::Failure{std::string("the name that the daemon would get has control characters")};
  }
  if (Wrong wrong = read_common(draft)) return base::Failure{std::move(*wrong)};
  if (Wrong wrong = read_transport(draft)) return base::Failure{std::move(*wrong)};
  return std::move(draft.target);
}

std::optional<std::string> why_unprotected(const TargetConfig& target) {
  const tunnel::Target& tunnel = target.tunnel;
  if (tunnel.insecure) return std::nullopt;
  std::string why;
  if (tunnel.transport == Transport::tcp && !base::is_loopback(tunnel.host)) {
    why = "plain tcp to " + quoted(tunnel.host) + " is neither encrypted nor authenticated";
  } else if (tunnel.transport == Transport::tls && tunnel.no_verify) {
    why = "no_verify= accepts any server certificate";
  } else if (tunnel.transport == Transport::ssh && accepts_any_key(tunnel)) {
    why = tunnel.no_verify ? "no_verify= accepts any host key"
                           : "known_hosts_verify=ignore accepts any host key";
  } else {
    return std::nullopt;
  }
  return why + "; set insecure = true for this target if that is meant";
}

base::Result<TargetConfig, Mistake> make_target(std::string_view name, std::string_view uri,
                                                const Environment& environment) {
  if (auto wrong = wrong_target_name(name)) return base::Failure{Mistake{{}, std::move(*wrong)}};
  auto target = target_of(name, uri, environment);
  if (!target) return base::Failure{Mistake{{}, target.error()}};
  if (auto why = why_unprotected(*target)) return base::Failure{Mistake{{}, std::move(*why)}};
  return std::move(target).value();
}

}  // namespace conf
