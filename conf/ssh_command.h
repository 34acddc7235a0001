// The command lines with which libvirt's client reaches a daemon over ssh, letter by letter as
// libvirt 9.0 writes them, its quoting included. They are for showing and for comparing: a socket's
// path stands in them unquoted, so nothing here is fit to be run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tunnel/target.h"

namespace conf {

struct RemoteCommand {
  tunnel::RemoteProxy helper = tunnel::RemoteProxy::automatic;
  std::string netcat = "nc";
  std::string socket;
  std::string name;  // what is sent in the open
  bool read_only = false;
};

// The one argument that the far host's shell gets.
std::string remote_command(const RemoteCommand& command);

struct SshLogin {
  std::string program = "ssh";
  std::uint32_t port = 0;  // 0: none given
  std::string user;        // empty: none given
  std::optional<std::string> keyfile;
  bool no_tty = false;
  bool no_verify = false;
  std::string host;
};

std::vector<std::string> ssh_arguments(const SshLogin& login, const std::string& remote);

}  // namespace conf
