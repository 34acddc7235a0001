#include <algorithm>
#include <string_view>
#include <utility>

#include "conf/drivers.h"
#include "conf/resolve_remote.h"
#include "conf/target.h"
#include "conf/text.h"
#include "conf/xend_target.h"

namespace conf {
namespace {

using tunnel::Transport;

constexpr std::uint32_t kLastPort = 65535;

// What a shell takes as it is.
bool plain_for_shell(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) ||
           std::string_view("/._-+:@%,").find(c) != std::string_view::npos;
  });
}

std::string list_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", then ") + quoted(word);
  return out;
}

void add_xend(Resolution& to, const TargetConfig& target) {
  to.notes.push_back("a gate that has this as a target asks a legacy xend at " +
                     xend_place(target) + " over HTTP, for clients that speak it");
  to.notes.push_back(
      "of xend's HTTP a gate lets only what reads pass, and takes the passwords of VNC out");
}

class Notes {
 public:
  Notes(Resolution& to, const ClientEnvironment& environment, const LibvirtConf& libvirt)
      : to_(to), environment_(environment), libvirt_(libvirt) {}

  void run();

 private:
  void client();
  void client_ssh();
  void gate();
  void gate_target(const TargetConfig& target);
  void note(std::string text) { to_.notes.push_back(std::move(text)); }

  Resolution& to_;
  const ClientEnvironment& environment_;
  const LibvirtConf& libvirt_;
};

void Notes::run() {
  if (!to_.transport.empty()) client();
  if (!to_.uri.empty()) {
    gate();
  } else {
    note(
        "a gate that is asked for no name takes its socket's target, then uri_default of its own "
        "libvirt.conf, then each of its targets until one opens");
  }
}

void Notes::client() {
  if (!to_.driver.empty() && !to_.parsed.parameter("name")) {
    if (auto odd = odd_driver(to_.parsed)) {
      to_.hopeless = true;
      note(std::move(*odd));
    }
  }
  if (!to_.secure) note("this connection is neither encrypted nor authenticated by its transport");
  if (to_.port > kLastPort) note("there is no such port, so connecting fails");
  if (to_.driver == "http" && !to_.host.empty()) {
    note("long ago this was the HTTP port of xend; today it is a driver of the name http over " +
         to_.transport);
  }
  if (to_.user.find(':') != std::string::npos) {
    note("a password has no place in a URI: all of it is taken as the name of the user");
  }
  if (!to_.user.empty() && (to_.transport == "tcp" || to_.transport == "tls")) {
    note("the transport " + to_.transport + " makes no use of the user");
  }
  if (!environment_.process.auth_file.empty()) {
    note("LIBVIRT_AUTH_FILE names the file of credentials, and comes before authfile=");
  }
  if (!libvirt_.tls_priority.empty() && to_.transport == "tls" &&
      !to_.parsed.parameter("tls_priority")) {
    note("tls_priority of libvirt.conf is used too");
  }
  const bool ssh = to_.transport == "ssh" || to_.transport.starts_with("libssh");
  if (ssh) client_ssh();
}

void Notes::client_ssh() {
  if (to_.host.starts_with('-') || to_.user.starts_with('-')) {
    note(
        "a host or user that begins with - is kept from being taken as an option of ssh by -- and "
        "-l");
  }
  if (to_.parsed.parameter("mode") || to_.parsed.parameter("socket")) {
    note("libvirt 9.1 and later give mode= and socket= to virt-ssh-helper too, in its URI");
  }
  const bool netcat_alone = to_.socket.has_value() && (to_.flags & kOpenUserDaemon) != 0 &&
                            !to_.parsed.parameter("socket");
  if (netcat_alone) {
    note(
        "netcat gets the path that a session's socket has on this host, which need not be that of "
        "the far one");
  }
  if (to_.socket && !plain_for_shell(*to_.socket)) {
    note("libvirt hands the socket's path to the far host's shell without quotes; a gate does not");
  }
}

void Notes::gate() {
  Environment environment = environment_.process;
  environment.remote_mode = libvirt_.remote_mode;
  environment.remote_proxy = libvirt_.remote_proxy;
  const auto target = target_of("target", to_.uri, environment);
  if (!target) return note("a gate does not take this as a target: " + target.error());
  gate_target(*target);
}

void Notes::gate_target(const TargetConfig& target) {
  if (const auto why = why_unprotected(target)) {
    note("a gate does not take this as a target unless told: " + *why);
  }
  if (target.protocol == Protocol::xend) return add_xend(to_, target);
  const tunnel::Target& way = target.tunnel;
  const std::vector<std::string> own =
      to_.socket ? std::vector<std::string>{*to_.socket} : std::vector<std::string>{};
  if (way.transport == Transport::unix && way.sockets != own) {
    note("a gate would use the first of these sockets that answers: " + list_of(way.sockets));
  }
  if (way.transport == Transport::ssh && way.command.empty()) {
    note(
        "a gate does not read ssh_config(5), so an alias, ProxyJump or key of it needs "
        "command=ssh");
    note("a gate would log in to " + quoted(way.host) + " with its own ssh and its own keys, and " +
         (way.sockets.empty() ? "run virt-ssh-helper there"
                              : "connect to its sockets there: " + list_of(way.sockets)));
  }
  if (means_user_daemon(target.parsed, environment_.process) && way.transport == Transport::unix) {
    note("the session is that of the user who runs the gate, not that of its clients");
  }
  if ((to_.flags & kConnectReadOnly) == 0) note("a gate opens it read-only, always");
}

}  // namespace

void add_xend_notes(Resolution& to, std::string_view text) {
  const auto target = xend_target_of("target", text);
  if (target) return add_xend(to, *target);
  to.notes.push_back("a gate does not take this as a target: " + target.error());
}

void add_notes(Resolution& to, const ClientEnvironment& environment, const LibvirtConf& libvirt) {
  Notes(to, environment, libvirt).run();
}

}  // namespace conf
