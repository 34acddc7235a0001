// What a tunnel needs to know to reach a daemon: plain values, filled by conf. Parameters keep
// libvirt's names; see the remote URI reference of the libvirt manual.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tunnel/io/clock.h"

namespace tunnel {

inline constexpr std::uint16_t kSshPort = 22;

enum class Transport : std::uint8_t { unix, tcp, tls, ssh, ext };

// How to reach the daemon on the far side of ssh: `proxy=` of the URI.
enum class RemoteProxy : std::uint8_t { automatic, netcat, native };

// `known_hosts_verify=` of the URI.
enum class KnownHostsVerify : std::uint8_t { normal, automatic, ignore };

// How long each stage may take.
struct Timeouts {
  io::Milliseconds look_up{5000};
  io::Milliseconds connect{5000};
  io::Milliseconds handshake{10000};
  io::Milliseconds authentication{10000};
  io::Milliseconds channel{10000};

  bool operator==(const Timeouts&) const = default;
};

// Why a setting that leaves the far side unproven does not hold: "no_verify=1 is refused ...".
inline std::string refused_unless_insecure(std::string_view setting) {
  return std::string(setting) + " is refused unless the target has insecure = true";
}

struct Target {
  std::string name;  // of the target, for messages
  Transport transport = Transport::unix;
  Timeouts timeouts;

  // tcp, tls, ssh
  std::string host;        // a name or an address, without brackets
  std::uint16_t port = 0;  // conf has filled in the default
  bool insecure = false;   // the configuration accepts what is not protected
  // Whether the host's addresses may be this host's own or link-local ones.
  bool local_addresses = true;

  // The daemon's socket: local for unix, on the far host for ssh. The first that answers is taken.
  std::vector<std::string> sockets;

  // ssh
  std::string user;  // empty: the name of the user that virtgate runs as
  std::string keyfile;
  // Holds the passphrase of an encrypted keyfile; relative to $CREDENTIALS_DIRECTORY, or absolute.
  std::string passphrase_file;
  std::string known_hosts;
  KnownHostsVerify known_hosts_verify = KnownHostsVerify::normal;
  // "agent", "privkey" in the order to try; empty: the default order.
  std::vector<std::string> sshauth;
  RemoteProxy proxy = RemoteProxy::automatic;
  std::string netcat;       // empty: nc
  std::string helper_uri;   // what virt-ssh-helper gets as its argument
  bool read_write = false;  // the helper is to take the socket of those who may write
  // When not empty, the far side connects to this host and port in place of a daemon's socket.
  std::string forward_host;
  std::uint16_t forward_port = 0;

  // ssh: the program to run instead of our own ssh; ext: the program that is the tunnel
  std::string command;
  bool no_tty = false;

  // tls
  std::string pkipath;
  bool no_verify = false;

  bool operator==(const Target&) const = default;
};

}  // namespace tunnel
