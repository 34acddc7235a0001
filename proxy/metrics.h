// What a gate counts, as metrics. Labels come from bounded sets alone: users are none of them.
#pragma once

#include <string>

#include "proxy/exposition.h"
#include "proxy/snapshot.h"

namespace proxy {

std::string metrics_text(const Snapshot& snapshot, MetricsFormat format);

}  // namespace proxy
