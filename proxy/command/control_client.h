// Asks a running gate.
#pragma once

#include <string>

#include "base/result.h"

namespace proxy {

// What the gate whose control socket is at `socket` answers to a GET of `path`. It waits for some
// seconds at most. The error is for people, and says where nobody answered and what to do.
base::Result<std::string, std::string> ask_gate(const std::string& socket, const std::string& path);
// The same of a POST, whose answer may take a minute.
base::Result<std::string, std::string> tell_gate(const std::string& socket,
                                                 const std::string& path);

// Where the control socket of the gate is that is meant when none is named: a user's own gate comes
// before that of the system.
std::string usual_control_socket();

}  // namespace proxy
