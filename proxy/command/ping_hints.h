// What to look at when a connection fails.
#pragma once

#include <string>
#include <vector>

#include "conf/values.h"
#include "tunnel/io/stream.h"

namespace proxy {

// In the order in which to try; none where the reason says it all. Our words only.
std::vector<std::string> hints_for(const conf::TargetConfig& target,
                                   const tunnel::io::Reason& reason);

}  // namespace proxy
