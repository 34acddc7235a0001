// The log of a process whose standard error somebody else reads.
#pragma once

#include <memory>

#include "proxy/record/log.h"

namespace proxy {

// To the journal, with the fields as fields, or to syslog where there is none. It never writes to
// standard error, and nobody waits for it. It opens nothing before the first record.
std::unique_ptr<Log> make_system_log(Level least);

}  // namespace proxy
