#include "conf/ssh_command.h"

#include <string_view>

#include "base/text.h"

namespace conf {
namespace {

// As virBufferEscapeShell() does: what needs no quotes gets none.
std::string escaped_for_shell(std::string_view text) {
  if (text.empty()) return "''";
  if (text.find_first_of("\r\t\n !\"#$&'()*;<>?[\\]^`{|}~") == std::string_view::npos) {
    return std::string(text);
  }
  return base::quoted_for_shell(text);
}

// Once for the shell that runs sh, once for sh.
std::string escaped_twice(std::string_view text) {
  return '\'' + escaped_for_shell(escaped_for_shell(text)) + '\'';
}

std::string helper_part(const RemoteCommand& command) {
  return std::string("virt-ssh-helper ") + (command.read_only ? "-r " : "") +
         escaped_twice(command.name);
}

std::string netcat_part(const RemoteCommand& command) {
  const std::string netcat = escaped_twice(command.netcat);
  return "if " + netcat +
         " -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1; then ARG=-q0;else ARG=;fi;" +
         netcat + " $ARG -U " + command.socket;
}

}  // namespace

std::string remote_command(const RemoteCommand& command) {
  switch (command.helper) {
    case tunnel::RemoteProxy::native:
      return "sh -c '" + helper_part(command) + '\'';
    case tunnel::RemoteProxy::netcat:
      return "sh -c '" + netcat_part(command) + '\'';
    case tunnel::RemoteProxy::automatic:
      break;
  }
  return "sh -c 'which virt-ssh-helper 1>/dev/null 2>&1; if test $? = 0; then     " +
         helper_part(command) + "; else    " + netcat_part(command) + "; fi'";
}

std::vector<std::string> ssh_arguments(const SshLogin& login, const std::string& remote) {
  std::vector<std::string> out = {login.program};
  const auto add = [&](std::initializer_list<std::string> words) {
    out.insert(out.end(), words.begin(), words.end());
  };
  if (login.port != 0) add({"-p", std::to_string(login.port)});
  if (!login.user.empty()) add({"-l", login.user});
  if (login.keyfile) add({"-i", *login.keyfile});
  add({"-T", "-e", "none"});
  if (login.no_tty) add({"-o", "BatchMode=yes"});
  if (login.no_verify) add({"-o", "StrictHostKeyChecking=no"});
  add({"--", login.host, remote});
  return out;
}

}  // namespace conf
