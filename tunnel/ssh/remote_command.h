// What is asked of the far side once ssh is there: a socket to be connected, or a command to be
// run. The remote login shell reads a command, so every word in it is quoted here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

// One way from the far side's sshd to the daemon.
struct Way {
  enum class Kind : std::uint8_t {
    socket,  // a direct-streamlocal@openssh.com channel: no shell, no program
    helper,  // virt-ssh-helper, which chooses the socket itself
    netcat,
    address,  // a direct-tcpip channel
  };
  Kind kind = Kind::socket;
  std::string path;        // socket, netcat; address: the host
  std::string command;     // helper, netcat: for the login shell
  std::uint16_t port = 0;  // address
};

// Whether the way is a command that the far side's shell runs.
constexpr bool is_command(Way::Kind kind) {
  return kind == Way::Kind::helper || kind == Way::Kind::netcat;
}

// "socket /run/...", "virt-ssh-helper", "netcat to /run/...": the words for messages.
std::string to_string(const Way& way);

// The ways that Target::proxy allows, in the order to try: the sockets, which cost least, then the
// helper, then netcat. native means the helper alone, netcat all but the helper; what netcat= does
// to proxy= is conf's to say. Refused are socket paths that are not absolute or too long for a
// socket's address, and control characters anywhere. With forward_host there is one way, to that.
base::Result<std::vector<Way>, std::string> ways_to_daemon(const Target& target);

// All of that in one command, for an ssh program that can only run commands.
base::Result<std::string, std::string> command_to_daemon(const Target& target);

// The arguments for the ssh program of command=, itself included; in libvirt's order.
base::Result<std::vector<std::string>, std::string> ssh_program_arguments(const Target& target);

}  // namespace tunnel::ssh
