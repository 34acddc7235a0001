// What the ssh tunnel is made of that is not ssh: given from outside, so that tests can give
// streams that exist in memory.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tunnel/io/errands.h"
#include "tunnel/io/stream.h"
#include "tunnel/notes.h"
#include "tunnel/ssh/environment.h"

namespace tunnel::ssh {

struct Parts {
  // A stream to the target's host and port, not yet open, with deadlines of its own for look-up and
  // connect.
  std::function<std::unique_ptr<io::Stream>()> connect;
  // A stream to the socket of an ssh agent, not yet open.
  std::function<std::unique_ptr<io::Stream>(const std::string& path)> connect_agent;
  // The standard streams of a child that runs these arguments, not yet open. Each line of its
  // standard error is given to `line`, which lives as long as the stream.
  std::function<std::unique_ptr<io::Stream>(const std::vector<std::string>& arguments,
                                            std::function<void(const std::string& text)> line)>
      run;
  // Reads known hosts and keys, and records new hosts.
  io::RunErrand errand = io::run_errand_at_once;
  SshEnvironment environment;
  Notes notes;
};

}  // namespace tunnel::ssh
