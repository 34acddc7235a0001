// `virtgate serve`: the gate as a process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "proxy/log.h"
#include "proxy/service.h"

namespace proxy {

struct ServeOptions {
  std::optional<std::string> config;  // a file; its conf.d beside it is read too
  std::vector<std::string> listen;    // addresses
  std::vector<std::string> targets;   // NAME=URI
  bool check = false;
};

// What `options` and, where they name nothing, the usual places say; and every mistake in it.
conf::Loaded configuration(const ServeOptions& options);

// The folder in which a gate of this process's user has its sockets.
std::string default_socket_folder(const conf::Environment& environment);

// All that a gate is told, read and checked. The error has a sentence for each mistake.
base::Result<Reading, std::vector<std::string>> read_all(const ServeOptions& options);

// Runs until a signal ends it. The result is the exit code.
int serve(const ServeOptions& options, Log& log);

}  // namespace proxy
