#include "proxy/command/other_programs.h"

#include <cstdio>
#include <functional>
#include <string_view>

#include "proxy/command/bridge_arguments.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"

namespace proxy {
namespace {

struct Program {
  std::string_view name;
  std::string_view usage;
  std::string_view what;
  int (*run)(const std::string& name, Arguments arguments);
};

int complain_as(const std::string& name, const std::string& text, int code) {
  complain(name + ": " + text);
  return code;
}

int as_ssh(const std::string& name, Arguments arguments) {
  const auto request = parse_ssh_arguments(arguments);
  if (!request) return complain_as(name, request.error(), kUsedWrongly);
  return bridge_as_ssh(*request);
}

int as_helper(const std::string& name, Arguments arguments) {
  const auto uri = parse_helper_arguments(arguments);
  if (!uri) return complain_as(name, uri.error(), kUsedWrongly);
  return bridge_as_helper(*uri);
}

int as_netcat(const std::string& name, Arguments arguments) {
  const auto socket = parse_netcat_arguments(arguments);
  if (!socket) return complain_as(name, socket.error(), kUsedWrongly);
  return bridge_as_netcat(*socket);
}

int as_bridge(const std::string& name, Arguments arguments) {
  if (arguments.empty()) return bridge({});
  return complain_as(name, "it takes no arguments; virtgate bridge does", kUsedWrongly);
}

constexpr Program kPrograms[] = {
    {"virtgate-ssh",
     "[-p PORT] [-l USER] [-i KEYFILE] [-T] [-e none] [-o OPTION] [--] HOST COMMAND",
     "In place of ssh in command= of a libvirt URI, as in "
     "'qemu+ssh://host/system?command=virtgate-ssh':\n"
     "joins standard input and output, read-only, to the daemon on HOST that libvirt's COMMAND "
     "means.\n"
     "Host keys are always verified.",
     as_ssh},
    {"virt-ssh-helper", "[-r] URI",
     "On the far side of a qemu+ssh:// URI: joins standard input and output to the driver that "
     "URI\n"
     "names on this host, read-only with -r and without.",
     as_helper},
    {"virtgate-nc", "[-q SECONDS] -U SOCKET",
     "In place of nc in netcat= of a libvirt URI: joins standard input and output, read-only, to "
     "the\n"
     "daemon that listens on SOCKET. -q makes no difference.",
     as_netcat},
    {"virtgate-bridge", "",
     "As command= of a qemu+ext:// URI, which gives no arguments: the same as virtgate bridge.",
     as_bridge},
};

const Program* find(std::string_view name) {
  for (const Program& program : kPrograms) {
    if (program.name == name) return &program;
  }
  return nullptr;
}

int run(const Program& program, Arguments arguments) {
  const std::string name(program.name);
  const bool alone = arguments.size() == 1;
  if (alone && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::printf(
        "Usage: %s %s\n\n%s\n\nExit status: 0 success, 1 failure, 2 usage error, 128 + N ended "
        "by signal N.\n",
        name.c_str(), program.usage.data(), program.what.data());
    return 0;
  }
  if (alone && (arguments[0] == "--version" || arguments[0] == "-V")) {
    std::printf("%s (virtgate) %s\n", name.c_str(), VIRTGATE_VERSION);
    return 0;
  }
  return program.run(name, arguments);
}

}  // namespace

std::optional<int> run_as_other_program(const std::vector<std::string>& words) {
  if (words.empty()) return std::nullopt;
  const Arguments arguments = Arguments(words).subspan(1);
  const std::string& path = words.front();
  const Program* program = find(std::string_view(path).substr(path.rfind('/') + 1));
  if (program == nullptr && are_for_ssh(arguments)) program = find("virtgate-ssh");
  if (program == nullptr) return std::nullopt;
  return run(*program, arguments);
}

}  // namespace proxy
