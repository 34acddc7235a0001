// Asks a running gate.
#pragma once

#include <string>

#include "base/result.h"

namespace proxy {

// What the gate whose control socket is at `socket` answers to a GET of `path`. It waits for some
// seconds at most. The error is for people, and says where nobody answered and what to do.
base::Result<std::string, std::string> ask_gate(const std::string& socket, const std::string& path);

}  // namespace proxy
