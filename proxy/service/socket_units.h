// The socket units of systemd that make the gate's sockets: their mode and group are those of the
// unit, whatever the configuration says.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "conf/values.h"

namespace proxy {

struct SocketUnit {
  std::string name;  // "virtgate.socket"
  std::string path;
  mode_t mode = 0666;  // as in systemd.socket(5)
  std::string group;   // empty: root
};

// The enabled ones whose names begin with virtgate. `folder` is where units of the administrator
// are; what cannot be read is left out.
std::vector<SocketUnit> socket_units(const std::string& folder = "/etc/systemd/system");

// A warning for each mode and group of [[listen]] that is not used, because a unit makes the
// socket.
std::vector<conf::Mistake> ignored_access(const conf::Config& config,
                                          const std::vector<SocketUnit>& units);

}  // namespace proxy
