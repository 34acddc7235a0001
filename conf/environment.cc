#include "conf/environment.h"

#include <unistd.h>

#include "base/process.h"

namespace conf {
std::string user_socket_folder(const Environment& environment) {
  if (!environment.runtime_directory.empty()) return environment.runtime_directory + "/libvirt";
  if (!environment.cache_home.empty()) return environment.cache_home + "/libvirt";
  return environment.home + "/.cache/libvirt";
}

Environment process_environment() {
  Environment environment;
  environment.uid = geteuid();
  environment.runtime_directory = base::variable("XDG_RUNTIME_DIR");
  environment.config_home = base::variable("XDG_CONFIG_HOME");
  environment.cache_home = base::variable("XDG_CACHE_HOME");
  environment.auth_file = base::variable("LIBVIRT_AUTH_FILE");
  environment.credentials_directory = base::variable("CREDENTIALS_DIRECTORY");
  environment.home = base::home_folder();
  return environment;
}

}  // namespace conf
