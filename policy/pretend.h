// Calls that are answered as done and never sent on: which, where a rule decides.
#pragma once

#include <string_view>
#include <vector>

#include "policy/rules.h"

namespace policy {

// What `rule` pretends; null: where there are no rules. Its own list stands for itself. Of the one
// for all, it has what its allow has, as if that could pass. Neither has what its deny has.
std::vector<std::string_view> pretended_by(const Rules& rules, const AccessRule* rule);

}  // namespace policy
