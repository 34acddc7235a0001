// The arguments of the programs that the bridge stands in for: ssh on the near side, and
// virt-ssh-helper and netcat on the far one. Understood is what libvirt's clients send; every error
// is a sentence that names what is not. Pure.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "conf/ssh_command.h"

namespace proxy {

// Without the program's own name.
using Arguments = std::span<const std::string>;

// Whether they begin as libvirt's arguments of ssh do, which none of virtgate's own does.
bool are_for_ssh(Arguments arguments);

struct SshRequest {
  conf::SshLogin login;         // its host and keyfile are as given
  conf::RemoteCommand command;  // which nobody runs: it says which daemon is meant
};

// [-p PORT] [-l USER] [-i KEYFILE] [-T] [-e none] [-o OPTION] [--] HOST COMMAND
base::Result<SshRequest, std::string> parse_ssh_arguments(Arguments arguments);

// [-r] URI; the URI. -r makes no difference: nobody writes here.
base::Result<std::string, std::string> parse_helper_arguments(Arguments arguments);

// [-q SECONDS] -U SOCKET; the socket. With -q alone the error has the words by which libvirt's
// remote command tells netcats that know it from others.
base::Result<std::string, std::string> parse_netcat_arguments(Arguments arguments);

}  // namespace proxy
