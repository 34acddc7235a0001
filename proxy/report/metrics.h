// What a gate counts, as metrics. Labels come from bounded sets alone; users are no labels.
#pragma once

#include <string>

#include "proxy/record/snapshot.h"
#include "proxy/report/exposition.h"

namespace proxy {

std::string metrics_text(const Snapshot& snapshot, MetricsFormat format);

}  // namespace proxy
