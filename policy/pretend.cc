#include "policy/pretend.h"

#include <algorithm>
#include <string>

#include "base/pattern.h"

namespace policy {
std::vector<std::string_view> pretended_by(const Rules& rules, const AccessRule* rule) {
  const bool own = rule != nullptr && rule->pretend;
  const std::vector<std::string>& names = own ? *rule->pretend : rules.pretend;
  std::vector<std::string_view> out;
  for (const std::string_view name : kPretendable) {
    if (std::ranges::find(names, name) == names.end()) continue;
    const bool allowed = rule == nullptr || own || base::any_matches(rule->allow, name);
    const bool denied = rule != nullptr && base::any_matches(rule->deny, name);
    if (allowed && !denied) out.push_back(name);
  }
  return out;
}

}  // namespace policy
