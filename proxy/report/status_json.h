// The snapshot of a gate as a JSON object, in which `virtgate status` gets it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "proxy/record/snapshot.h"

namespace proxy {

// One object with its end of line.
std::string to_json(const Snapshot& snapshot);

std::string to_json(const Reloaded& reloaded);
base::Result<Reloaded, std::string> parse_reloaded(std::string_view text);

// What is missing or of another kind stays as it is in an empty snapshot. The error says why the
// text is no object.
base::Result<Snapshot, std::string> parse_status(std::string_view text);

}  // namespace proxy
