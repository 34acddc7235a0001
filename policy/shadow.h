// Rules that can never match, because others before them always do.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "policy/rules.h"

namespace policy {

// An earlier rule that is for everybody and everything that this one is for, or of several that are
// so together the one that has its first target. Nothing: as far as patterns can tell, it may
// match.
std::optional<std::size_t> shadowed_by(const std::vector<AccessRule>& rules, std::size_t index);

}  // namespace policy
