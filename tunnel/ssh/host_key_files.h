// Where known_hosts files lie, and how a new key is recorded in one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/shortage.h"
#include "tunnel/io/errands.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/ssh/known_hosts.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

inline constexpr std::size_t kLargestKnownHosts = std::size_t{8} * 1024 * 1024;

struct HostKeyFiles {
  std::vector<std::string> files;  // in the order in which they are read
  std::string record;              // gets new keys; empty: there is no place for one
  bool named = false;              // known_hosts= names the only file
  std::string to_make = {};        // the folder of `record` where it is not there
};

// These functions look at the disk, and say at what. The first: at the folder of `record`.
HostKeyFiles host_key_files(const Target& target, const SshEnvironment& environment,
                            io::Whereabouts& whereabouts);

// Reads all files anew. A file that does not exist says nothing. One that is too large or cannot be
// read is an error, since a revoked key may stand in it; only a usual file that this user may not
// read is passed over with a note, as ssh does.
base::Result<KnownHosts, base::Problem> load_known_hosts(const HostKeyFiles& files,
                                                         const std::string& host,
                                                         std::uint16_t port,
                                                         io::Whereabouts& whereabouts);

// Appends the key to a file, which is made with mode 0600 if need be, under a lock and to the disk.
// What is in the file is never rewritten. When somebody else recorded this very key meanwhile,
// nothing is written; a different one is an error. Gives what went wrong.
std::optional<base::Problem> record_host_key(const std::string& file, const std::string& host,
                                             std::uint16_t port, base::Bytes key);

}  // namespace tunnel::ssh
