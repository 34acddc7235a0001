// What a client is told of a fault: only insiders (Gate::is_insider()) hear of keys, files, users
// and rules.
#pragma once

#include <string>

#include "policy/error.h"
#include "tunnel/io/stream.h"

namespace proxy {

struct Told {
  policy::Fault fault;
  std::string reference;  // under which the log has the rest; empty: that was all
};

// policy::Fault::plain of a target that could not be reached, or was lost: in which stage.
std::string plain_failure(const std::string& target, const tunnel::io::Reason& reason);

}  // namespace proxy
