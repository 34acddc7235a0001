#include "proxy/command/ping_hints.h"

#include <array>
#include <optional>
#include <string_view>

#include "tunnel/io/errands.h"

namespace proxy {
namespace {

using tunnel::Transport;
using tunnel::io::Reason;
using tunnel::io::Stage;

constexpr unsigned bit(Transport transport) { return 1U << static_cast<unsigned>(transport); }
constexpr unsigned kUnix = bit(Transport::unix);
constexpr unsigned kTcp = bit(Transport::tcp);
constexpr unsigned kTls = bit(Transport::tls);
constexpr unsigned kSsh = bit(Transport::ssh);
constexpr unsigned kExt = bit(Transport::ext);
constexpr unsigned kAll = kUnix | kTcp | kTls | kSsh | kExt;

struct Row {
  Stage stage;
  unsigned transports;
  std::optional<Reason::Kind> kind;  // nothing: any
  std::string_view part;             // of the reason, in the system's words; empty: any
  std::string_view text;
};

constexpr std::optional<Reason::Kind> kAny = std::nullopt;
constexpr auto kTimeout = Reason::Kind::timeout;
constexpr auto kRefused = Reason::Kind::refused;
constexpr auto kProtocol = Reason::Kind::protocol;
constexpr auto kEnd = Reason::Kind::end;
constexpr auto kSystem = Reason::Kind::system;

// The system's words are those of the C locale, in which virtgate runs.
constexpr std::array kRows = {
    Row{Stage::look_up, kAll, kAny, "",
        "is the host's name right? `getent hosts NAME` asks the same resolver"},
    Row{Stage::connect, kUnix, kSystem, "No such file",
        "does the daemon run? systemctl status libvirtd virtqemud; its sockets are in "
        "/run/libvirt"},
    Row{Stage::connect, kUnix, kSystem, "No such file",
        "mode=legacy or mode=direct chooses between the sockets, socket= names one"},
    Row{Stage::connect, kUnix, kSystem, "Connection refused",
        "the socket's file is there, and nobody listens: the daemon has ended without removing it"},
    Row{Stage::connect, kUnix, kSystem, "Permission denied",
        "who may use the socket? ls -l shows its group; the -ro socket is open to more"},
    Row{Stage::connect, kTcp | kTls, kSystem, "Connection refused",
        "does the daemon listen there? systemctl status libvirtd-tcp.socket libvirtd-tls.socket, "
        "or "
        "virtproxyd's; 16509 is the usual port of tcp and 16514 that of tls"},
    Row{Stage::connect, kSsh, kSystem, "Connection refused", "does sshd listen on this port?"},
    Row{Stage::connect, kTcp | kTls | kSsh, kTimeout, "",
        "does a firewall drop the packets, or is the host down?"},
    Row{Stage::connect, kTcp | kTls | kSsh, kSystem, "route to host",
        "is the host up, and does a firewall reject the packets?"},
    Row{Stage::connect, kTcp, kRefused, "",
        "use tls or ssh; for a network that you trust there is insecure = true, and --insecure "
        "here"},
    Row{Stage::connect, kExt | kSsh, kSystem, "No such file", "is the program of command= there?"},
    Row{Stage::handshake, kTls, kTimeout, "",
        "does another service than libvirt's TLS listen on this port?"},
    Row{Stage::handshake, kTls, kProtocol, "is not TLS",
        "another service listens on this port, such as sshd; 16514 is the usual port of tls"},
    Row{Stage::handshake, kTls, kEnd, "",
        "the daemon's log says why: is its key RSA or ECDSA, and is this the port of tls (16514) "
        "and not of plain tcp (16509)?"},
    Row{Stage::handshake, kTls, kRefused, "",
        "the files are in /etc/pki/CA and /etc/pki/libvirt, or where pkipath= says; "
        "`virt-pki-validate` checks them, and the host's name must be in its certificate"},
    Row{Stage::handshake, kSsh, kTimeout, "",
        "does another service than sshd listen on this port?"},
    Row{Stage::handshake, kSsh, kSystem, "Connection reset",
        "does sshd listen on this port, and does it accept connections from here? Its log says "
        "more"},
    Row{Stage::login, kSsh, kRefused, "refused by the server",
        "is the public key in the far user's ~/.ssh/authorized_keys, and may nobody else write "
        "there? ssh-keygen -y -f KEY prints it; sshd's log says more"},
    Row{Stage::login, kSsh, kEnd, "",
        "sshd's log says why: MaxStartups, MaxAuthTries, or penalties of the address"},
    Row{Stage::authentication, kAll, kTimeout, "",
        "does another service listen there, or has the daemon max_clients connections already?"},
    Row{Stage::authentication, kTcp, kEnd, "",
        "does another service listen there, such as libvirt's TLS, whose port is 16514?"},
    Row{Stage::authentication, kAll, kEnd, "",
        "the daemon's log says why: its client certificate list, or max_clients"},
    Row{Stage::authentication, kTcp, kSystem, "",
        "does another service listen there, such as libvirt's TLS, whose port is 16514?"},
    Row{Stage::authentication, kAll, kProtocol, "",
        "does another service than libvirt's listen there?"},
    Row{Stage::authentication, kUnix | kSsh | kExt, kRefused, "",
        "polkit decides for sockets: the group libvirt, or a rule for org.libvirt.unix.monitor"},
    Row{Stage::authentication, kTcp | kTls, kRefused, "",
        "tcp and tls have auth_tcp and auth_tls in libvirtd.conf"},
    Row{Stage::channel, kSsh, kAny, "the far shell says",
        "the far user needs a shell that runs commands and prints nothing by itself, or "
        "AllowStreamLocalForwarding in sshd_config"},
    Row{Stage::channel, kSsh, kAny, "",
        "on the far host: the sockets in /run/libvirt, AllowStreamLocalForwarding in sshd_config, "
        "and virt-ssh-helper or nc"},
    Row{Stage::open, kAll, kRefused, "",
        "does this daemon have the driver, with this path? `virtgate resolve` shows the name sent"},
    Row{Stage::open, kAll, kTimeout, "",
        "the daemon is there and busy, or its driver hangs; its log may say on what"},
    Row{Stage::open, kAll, kEnd, "", "the daemon's log says why it ended"},
    Row{Stage::established, kAll, kTimeout, "", "the daemon is there and busy; is a call stuck?"},
    Row{Stage::established, kAll, kEnd, "", "the daemon's log says why it ended"},
};

// Nothing of what is said of libvirt's daemons is true of a xend.
std::vector<std::string> hints_for_xend(const Reason& reason) {
  if (reason.stage < Stage::connect) return {std::string(kRows.front().text)};
  if (reason.stage == Stage::connect) {
    return {"does xend run, with xend-unix-server or xend-http-server on in xend-config.sxp?"};
  }
  return {"does another service than xend listen there?"};
}

}  // namespace

std::vector<std::string> hints_for(const conf::TargetConfig& target, const Reason& reason) {
  if (target.protocol == conf::Protocol::xend) return hints_for_xend(reason);
  if (reason.kind == Reason::Kind::exhausted) {
    return {
        "descriptors, memory or processes of this host ran out: LimitNOFILE= of the unit, "
        "ulimit -n"};
  }
  if (reason.text.find(tunnel::io::kKeptWaiting) != std::string::npos) {
    if (reason.stage == Stage::authentication && !reason.text.starts_with('/')) {
      return {
          "a KDC, or the name server that is asked for this host's own name, may be silent: "
          "`kinit` and `hostname -f` would wait for it too"};
    }
    return {"is its disk or file server there? `stat` of the file would wait for it too"};
  }
  std::vector<std::string> out;
  for (const Row& row : kRows) {
    if (row.stage != reason.stage || (row.transports & bit(target.tunnel.transport)) == 0) continue;
    if (row.kind && *row.kind != reason.kind) continue;
    if (reason.text.find(row.part) == std::string::npos) continue;
    out.emplace_back(row.text);
  }
  return out;
}

}  // namespace proxy
