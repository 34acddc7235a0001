// What the gate would do with a call, and which rule decides: by the code that decides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/access.h"
#include "policy/procedures.h"

namespace policy {

// "passes", "depends on its arguments", "answered by the gate", "refused", "event".
std::string_view rule_words(Rule rule);

struct Explanation {
  bool passes = false;
  std::string reason;  // which rule decided, and why; raw
};

// Of a call with arguments that are otherwise in order. `flags` must be given only to procedures
// that have them.
Explanation explain(const Access& access, const Identity& who, const Seen& target,
                    const Procedure& procedure, std::optional<std::uint32_t> flags);

}  // namespace policy
