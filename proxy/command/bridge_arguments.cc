#include "proxy/command/bridge_arguments.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "conf/original_command.h"
#include "conf/text.h"

namespace proxy {
namespace {

using Wrong = std::optional<std::string>;

constexpr std::uint64_t kLongestPatience = 3600;  // seconds, of -q

constexpr std::array<std::string_view, 6> kSshOptions = {"-p", "-l", "-i", "-T", "-e", "-o"};

class SshReader {
 public:
  explicit SshReader(Arguments arguments) : rest_(arguments) {}
  base::Result<SshRequest, std::string> run();

 private:
  Wrong work();
  Wrong option(std::string_view name);
  Wrong value_of(std::string_view name, std::string& to);
  Wrong setting(std::string_view text);

  Arguments rest_;
  SshRequest out_;
};

base::Result<SshRequest, std::string> SshReader::run() {
  out_.login.program.clear();
  if (Wrong wrong = work()) return base::Failure{std::move(*wrong)};
  return std::move(out_);
}

Wrong SshReader::work() {
  bool options = true;
  while (options && !rest_.empty() && rest_[0].starts_with('-')) {
    const std::string& name = rest_[0];
    rest_ = rest_.subspan(1);
    options = name != "--";
    if (!options) break;
    if (Wrong wrong = option(name)) return wrong;
  }
  if (rest_.empty() || rest_[0].empty()) return "there is no host";
  out_.login.host = rest_[0];
  if (rest_.size() < 2) return "there is no remote command; this is no shell";
  if (rest_.size() > 2) return "the remote command is more than one argument";
  auto command = conf::parse_original_command(rest_[1]);
  if (!command) return command.error();
  out_.command = std::move(command).value();
  return std::nullopt;
}

Wrong SshReader::option(std::string_view name) {
  if (name == "-T") return std::nullopt;
  std::string value;
  if (std::find(kSshOptions.begin(), kSshOptions.end(), name) == kSshOptions.end()) {
    return "the option " + conf::quoted(name) + " of ssh is not known here";
  }
  if (Wrong wrong = value_of(name, value)) return wrong;
  if (name == "-o") return setting(value);
  if (name == "-l") {
    out_.login.user = std::move(value);
  } else if (name == "-i") {
    out_.login.keyfile = std::move(value);
  } else if (name == "-e") {
    if (value != "none") return "-e " + conf::quoted(value) + ": there is no escape character here";
  } else {
    const auto port = conf::decimal(value, std::numeric_limits<std::uint16_t>::max());
    if (!port || *port == 0) return "-p " + conf::quoted(value) + " is no port";
    out_.login.port = static_cast<std::uint32_t>(*port);
  }
  return std::nullopt;
}

Wrong SshReader::value_of(std::string_view name, std::string& to) {
  if (rest_.empty() || rest_[0].empty()) return std::string(name) + " needs a value";
  to = rest_[0];
  rest_ = rest_.subspan(1);
  return std::nullopt;
}

Wrong SshReader::setting(std::string_view text) {
  const std::size_t equals = std::min(text.find('='), text.size());
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(std::min(equals + 1, text.size()));
  if (conf::same_ignoring_case(name, "BatchMode") && (value == "yes" || value == "no")) {
    out_.login.no_tty = value == "yes";
    return std::nullopt;
  }
  if (conf::same_ignoring_case(name, "StrictHostKeyChecking")) {
    if (value == "yes") return std::nullopt;
    return "-o " + conf::quoted(text) +
           " (no_verify=1 of a URI) is refused: host keys are always verified here; put the "
           "host's key into known_hosts";
  }
  return "the setting -o " + conf::quoted(text) + " of ssh is not known here";
}

}  // namespace

bool are_for_ssh(Arguments arguments) {
  return !arguments.empty() &&
         std::find(kSshOptions.begin(), kSshOptions.end(), arguments[0]) != kSshOptions.end();
}

base::Result<SshRequest, std::string> parse_ssh_arguments(Arguments arguments) {
  return SshReader(arguments).run();
}

base::Result<std::string, std::string> parse_helper_arguments(Arguments arguments) {
  while (!arguments.empty() && arguments[0].starts_with('-')) {
    const std::string& name = arguments[0];
    arguments = arguments.subspan(1);
    if (name == "--") break;
    if (name != "-r" && name != "--readonly") {
      return base::Failure{"the option " + conf::quoted(name) + " is not known"};
    }
  }
  if (arguments.empty()) return base::Failure{std::string("there is no URI")};
  if (arguments.size() > 1) return base::Failure{std::string("there is more than one URI")};
  return arguments[0];
}

base::Result<std::string, std::string> parse_netcat_arguments(Arguments arguments) {
  std::optional<std::string> socket;
  while (!arguments.empty()) {
    const std::string& name = arguments[0];
    arguments = arguments.subspan(1);
    const bool attached = name.starts_with("-q") && name.size() > 2;
    if (!attached && name != "-q" && name != "-U") {
      return base::Failure{"the argument " + conf::quoted(name) + " is not known"};
    }
    if (!attached && arguments.empty()) {
      return base::Failure{"option requires an argument -- '" + name.substr(1) + '\''};
    }
    const std::string value = attached ? name.substr(2) : arguments[0];
    if (!attached) arguments = arguments.subspan(1);
    if (name == "-U") {
      if (socket) return base::Failure{std::string("there is more than one socket")};
      socket = value;
    } else if (!conf::decimal(value, kLongestPatience)) {
      return base::Failure{"-q " + conf::quoted(value) + " is no number of seconds"};
    }
  }
  if (!socket) return base::Failure{std::string("there is no socket: -U SOCKET")};
  return std::move(*socket);
}

}  // namespace proxy
