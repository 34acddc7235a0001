// What a ping found, for people and for programs.
#pragma once

#include <string>

#include "conf/values.h"
#include "proxy/probe/ping.h"

namespace proxy {

// Lines of printable text.
std::string ping_text(const conf::TargetConfig& target, const PingReport& report);

// One JSON object in ASCII: target, uri, transport, stages, version, version_number, host,
// remote_uri, calls; and error, where there is one. Times are in milliseconds.
std::string ping_json(const conf::TargetConfig& target, const PingReport& report);

}  // namespace proxy
