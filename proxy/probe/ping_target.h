// A ping on a loop of its own.
#pragma once

#include <cstdint>

#include "conf/values.h"
#include "proxy/probe/ping.h"

namespace proxy {

// Opens a connection to the target, makes `count` calls, and waits for the end of it, which comes:
// each stage has its limit. What the tunnel notes goes to standard error. SIGPIPE is ignored from
// then on.
PingReport ping_target(const conf::TargetConfig& target, std::uint32_t count);

}  // namespace proxy
