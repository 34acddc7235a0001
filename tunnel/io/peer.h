// Who is at the other end of a local socket, in the kernel's words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tunnel::io {

// Taken once, when the connection is accepted. The ids are fit for decisions; the pid is not: it
// can have been used again. See unix(7), SO_PEERCRED, and socket(7), SO_PEERGROUPS.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  // What the kernel says, where whoever took the peer in counts it as another user's: `uid`.
  std::optional<uid_t> subordinate = {};
  gid_t gid = static_cast<gid_t>(-1);
  pid_t pid = 0;
  // Supplementary ones, without the primary one unless the kernel lists it.
  std::vector<gid_t> groups;
  // What the process with that pid runs, or calls itself; for people to read, and no more true than
  // the pid is. Empty: it is not to be seen.
  std::string program;

  [[nodiscard]] bool in_group(gid_t group) const;
};

// The path of what a process runs where that is shown to us, else its own name for itself, which
// is at most 15 bytes.
std::string program_of(pid_t pid);

}  // namespace tunnel::io
