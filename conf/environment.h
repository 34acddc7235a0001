// What of the process decides which files and sockets libvirt's rules mean. A value, so that the
// rules can be tested for any user.
#pragma once

#include <string>

#include <sys/types.h>

namespace conf {

struct Environment {
  uid_t uid = 0;                               // the effective one
  std::string runtime_directory;               // XDG_RUNTIME_DIR; empty: unset
  std::string config_home;                     // XDG_CONFIG_HOME; empty: unset
  std::string home;                            // see base::home_folder()
  std::string system_folder = "/etc/libvirt";  // of root's libvirt.conf, and of auth.conf
  std::string auth_file;                       // LIBVIRT_AUTH_FILE; empty: unset
  std::string credentials_directory;           // CREDENTIALS_DIRECTORY, of systemd; empty: unset

  // remote_mode and remote_proxy of libvirt.conf: what mode= and proxy= are when a URI has none.
  // Empty: "auto".
  std::string remote_mode;
  std::string remote_proxy;

  std::string cache_home;  // XDG_CACHE_HOME; empty: unset
};

// Where the sockets of a user's own daemons are, without a slash at the end.
std::string user_socket_folder(const Environment& environment);

// Of this process, without anything of libvirt.conf.
Environment process_environment();

}  // namespace conf
