#include "conf/environment.h"

#include <array>
#include <cstdlib>

#include <pwd.h>
#include <unistd.h>

namespace conf {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string home_of(uid_t uid) {
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0) return {};
  return found == nullptr ? std::string() : std::string(found->pw_dir);
}

}  // namespace

std::string user_socket_folder(const Environment& environment) {
  if (!environment.runtime_directory.empty()) return environment.runtime_directory + "/libvirt";
  if (!environment.cache_home.empty()) return environment.cache_home + "/libvirt";
  return environment.home + "/.cache/libvirt";
}

Environment process_environment() {
  Environment environment;
  environment.uid = geteuid();
  environment.runtime_directory = variable("XDG_RUNTIME_DIR");
  environment.config_home = variable("XDG_CONFIG_HOME");
  environment.cache_home = variable("XDG_CACHE_HOME");
  environment.auth_file = variable("LIBVIRT_AUTH_FILE");
  environment.credentials_directory = variable("CREDENTIALS_DIRECTORY");
  environment.home = variable("HOME");
  if (environment.home.empty()) environment.home = home_of(environment.uid);
  return environment;
}

}  // namespace conf
