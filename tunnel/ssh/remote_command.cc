#include "tunnel/ssh/remote_command.h"

#include <algorithm>

#include <sys/un.h>

#include "base/text.h"

namespace tunnel::ssh {
namespace {

using Refusal = base::Failure<std::string>;

std::string check_path(const std::string& path) {
  const std::string name = "the socket path " + base::shortened(path);
  if (!path.starts_with('/')) return name + " is not absolute";
  if (base::has_controls(path)) return name + " has control characters";
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return name + " is too long for a socket";
  return {};
}

std::string check(const Target& target) {
  for (const std::string& path : target.sockets) {
    if (std::string problem = check_path(path); !problem.empty()) return problem;
  }
  if (base::has_controls(target.netcat)) return "netcat= has control characters";
  if (base::has_controls(target.helper_uri)) return "the URI has control characters";
  if (base::has_controls(target.forward_host)) return "the host has control characters";
  return {};
}

bool helper_allowed(const Target& target) { return target.proxy != RemoteProxy::netcat; }

bool sockets_allowed(const Target& target) { return target.proxy != RemoteProxy::native; }

std::string netcat_of(const Target& target) { return target.netcat.empty() ? "nc" : target.netcat; }

std::string shell_command(std::string_view script) {
  return "sh -c " + base::quoted_for_shell(script);
}

std::string helper_words(const Target& target) {
  return std::string("virt-ssh-helper ") + (target.read_write ? "" : "-r ") +
         base::quoted_for_shell(target.helper_uri);
}

// Netcats that know -q wait for ever after the end of their input unless it says how long. What
// comes on the input is the daemon's, whatever a program in netcat's place does with the question.
std::string netcat_option(const std::string& netcat) {
  return "q=; if " + base::quoted_for_shell(netcat) +
         " -q 2>&1 </dev/null | grep 'requires an argument' >/dev/null 2>&1; then q=-q0; fi; ";
}

std::string netcat_words(const std::string& netcat, std::string_view quoted_path) {
  return base::quoted_for_shell(netcat) + " $q -U " + std::string(quoted_path);
}

std::string netcat_command(const std::string& netcat, const std::string& path) {
  return shell_command(netcat_option(netcat) + "exec " +
                       netcat_words(netcat, base::quoted_for_shell(path)));
}

// As ssh -W wants it.
std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

std::string to_string(const Way& way) {
  switch (way.kind) {
    case Way::Kind::socket:
      return "socket " + way.path;
    case Way::Kind::helper:
      return "virt-ssh-helper";
    case Way::Kind::netcat:
      return "netcat to " + way.path;
    case Way::Kind::address:
      return "connection to " + way.path + " port " + std::to_string(way.port);
  }
  return {};
}

base::Result<std::vector<Way>, std::string> ways_to_daemon(const Target& target) {
  if (std::string problem = check(target); !problem.empty()) return Refusal{problem};
  std::vector<Way> ways;
  if (!target.forward_host.empty()) {
    ways.push_back({Way::Kind::address, target.forward_host, {}, target.forward_port});
    return ways;
  }
  if (sockets_allowed(target)) {
    for (const std::string& path : target.sockets) ways.push_back({Way::Kind::socket, path, {}, 0});
  }
  if (helper_allowed(target)) ways.push_back({Way::Kind::helper, {}, helper_words(target), 0});
  if (sockets_allowed(target)) {
    for (const std::string& path : target.sockets) {
      ways.push_back({Way::Kind::netcat, path, netcat_command(netcat_of(target), path), 0});
    }
  }
  if (ways.empty()) return Refusal{"netcat needs the path of a socket, and there is none"};
  return ways;
}

base::Result<std::string, std::string> command_to_daemon(const Target& target) {
  if (std::string problem = check(target); !problem.empty()) return Refusal{problem};
  const bool netcat = sockets_allowed(target) && !target.sockets.empty();
  if (!helper_allowed(target) && !netcat) {
    return Refusal{"netcat needs the path of a socket, and there is none"};
  }
  std::string script;
  if (helper_allowed(target) && netcat) {
    script = "if command -v virt-ssh-helper >/dev/null 2>&1; then exec " + helper_words(target) +
             "; fi; ";
  } else if (helper_allowed(target)) {
    script = "exec " + helper_words(target);
  }
  if (netcat) {
    const std::string program = netcat_of(target);
    script += netcat_option(program) + "for s in";
    for (const std::string& path : target.sockets) script += " " + base::quoted_for_shell(path);
    script += "; do if test -S \"$s\"; then exec " + netcat_words(program, "\"$s\"") +
              "; fi; done; echo \"no socket of a daemon is there\" >&2; exit 1";
  }
  return shell_command(script);
}

base::Result<std::vector<std::string>, std::string> ssh_program_arguments(const Target& target) {
  if (std::string problem = check(target); !problem.empty()) return Refusal{problem};
  const bool forwards = !target.forward_host.empty();
  auto command =
      forwards ? base::Result<std::string, std::string>(std::string()) : command_to_daemon(target);
  if (!command) return Refusal{command.error()};
  if (target.host.empty() || base::has_controls(target.host)) {
    return Refusal{"the host's name is empty or has control characters"};
  }
  std::vector<std::string> arguments{target.command};
  const auto add = [&](std::initializer_list<std::string> words) {
    arguments.insert(arguments.end(), words);
  };
  // Left out, the program's own configuration can name the port.
  if (target.port != 0 && target.port != kSshPort) add({"-p", std::to_string(target.port)});
  if (!target.user.empty()) add({"-l", target.user});
  if (!target.keyfile.empty()) add({"-i", target.keyfile});
  add({"-T", "-e", "none"});
  if (target.no_tty) add({"-o", "BatchMode=yes"});
  if (target.no_verify) add({"-o", "StrictHostKeyChecking=no"});
  if (forwards) {
    add({"-W", bracketed(target.forward_host) + ":" + std::to_string(target.forward_port)});
    add({"--", target.host});
  } else {
    add({"--", target.host, *command});
  }
  return arguments;
}

}  // namespace tunnel::ssh
