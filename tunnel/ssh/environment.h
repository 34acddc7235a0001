// What the ssh tunnel takes from the surroundings of the process, as values, so that tests can give
// others.
#pragma once

#include <string>

namespace tunnel::ssh {

struct SshEnvironment {
  std::string user;          // the name of the user that the process runs as
  std::string home;          // see base::home_folder(); empty: none
  std::string config_home;   // $XDG_CONFIG_HOME, else .config in the home; empty: none
  std::string agent_socket;  // $SSH_AUTH_SOCK; empty: no agent
  std::string credentials;   // $CREDENTIALS_DIRECTORY of systemd.exec(5); empty: none
};

SshEnvironment current_environment();

}  // namespace tunnel::ssh
