#include "policy/shadow.h"

#include <algorithm>
#include <string_view>

#include "base/pattern.h"
#include "policy/access.h"

namespace policy {
namespace {

template <typename T>
bool holds(const std::vector<T>& list, const T& value) {
  return std::ranges::find(list, value) != list.end();
}

template <typename T>
bool holds_all(const std::vector<T>& list, const std::vector<T>& values) {
  return std::ranges::all_of(values, [&](const T& value) { return holds(list, value); });
}

bool is_for_everybody(const AccessRule& rule) { return rule.users.empty() && rule.groups.empty(); }

// Whoever the kernel cannot name is let in by name alone. Names that are unknown now are perhaps
// those of different users, and of some whom a reload finds.
bool covers_users(const AccessRule& earlier, const AccessRule& later) {
  if (holds(earlier.users, kUnknown) || holds(later.users, kUnknown)) return false;
  if (is_for_everybody(earlier)) return !holds(later.users, kNobody);
  return !is_for_everybody(later) && holds_all(earlier.users, later.users) &&
         holds_all(earlier.groups, later.groups);
}

// A star of the text is met by one of the pattern only, so what the text stands for is covered too.
bool covers_target(const AccessRule& earlier, std::string_view pattern) {
  return base::any_matches(earlier.targets, pattern);
}

}  // namespace

std::optional<std::size_t> shadowed_by(const std::vector<AccessRule>& rules, std::size_t index) {
  const AccessRule& rule = rules[index];
  if (rule.targets.empty() || !rule.uris.empty()) return std::nullopt;
  std::optional<std::size_t> first;
  for (const std::string& pattern : rule.targets) {
    std::size_t by = 0;
    while (by < index && !(covers_users(rules[by], rule) && covers_target(rules[by], pattern)))
      ++by;
    if (by == index) return std::nullopt;
    if (!first) first = by;
  }
  return first;
}

}  // namespace policy
