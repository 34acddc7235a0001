#include "tunnel/ssh/environment.h"

#include "base/process.h"

namespace tunnel::ssh {
SshEnvironment current_environment() {
  SshEnvironment environment;
  environment.user = base::own_account().name;
  environment.home = base::home_folder();
  environment.config_home = base::variable("XDG_CONFIG_HOME");
  if (environment.config_home.empty() && !environment.home.empty()) {
    environment.config_home = environment.home + "/.config";
  }
  environment.agent_socket = base::variable("SSH_AUTH_SOCK");
  environment.credentials = base::variable("CREDENTIALS_DIRECTORY");
  return environment;
}

}  // namespace tunnel::ssh
