#include "tunnel/ssh/environment.h"

#include <array>
#include <cstdlib>

#include <pwd.h>
#include <unistd.h>

namespace tunnel::ssh {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

Environment current_environment() {
  Environment environment;
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer{};
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    environment.user = found->pw_name;
    environment.home = found->pw_dir;
  }
  if (const std::string home = variable("HOME"); !home.empty()) environment.home = home;
  environment.config_home = variable("XDG_CONFIG_HOME");
  if (environment.config_home.empty() && !environment.home.empty()) {
    environment.config_home = environment.home + "/.config";
  }
  environment.agent_socket = variable("SSH_AUTH_SOCK");
  environment.credentials = variable("CREDENTIALS_DIRECTORY");
  return environment;
}

}  // namespace tunnel::ssh
