// Calls that are made up from signatures, to see what becomes of them.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace policy {

// The shortest arguments that the signature takes: optionals absent, arrays of one element,
// numbers within their bounds and no flag set. With `flags` that is the value of the argument of
// that name.
base::Buffer example_arguments(const Procedure& procedure, std::optional<std::uint32_t> flags = {});

// Whether there is an argument named flags.
bool has_flags(const Procedure& procedure);

}  // namespace policy
