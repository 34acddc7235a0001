// The snapshot of a gate as a JSON object, in which `virtgate status` gets it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "proxy/snapshot.h"

namespace proxy {

// One object with its end of line.
std::string to_json(const Snapshot& snapshot);

// What is missing or of another kind stays as it is in an empty snapshot. The error says why the
// text is no object.
base::Result<Snapshot, std::string> parse_status(std::string_view text);

}  // namespace proxy
