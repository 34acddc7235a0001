// Who is at the other end of a local socket, in the kernel's words.
#pragma once

#include <vector>

#include <sys/types.h>

namespace tunnel::io {

// Taken once, when the connection is accepted. The ids are fit for decisions; the pid is not: it
// can have been used again. See unix(7), SO_PEERCRED, and socket(7), SO_PEERGROUPS.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  pid_t pid = 0;
  std::vector<gid_t>
      groups;  // supplementary ones, without the primary one unless the kernel lists it

  [[nodiscard]] bool in_group(gid_t group) const;
};

}  // namespace tunnel::io
