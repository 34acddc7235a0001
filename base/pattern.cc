#include "base/pattern.h"

#include <algorithm>

namespace base {

bool matches(std::string_view pattern, std::string_view text, Wildcards wildcards) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken_by_star = 0;
  const auto is_one = [&](char c) {
    return c == text[t] || (c == '?' && wildcards == Wildcards::star_and_question);
  };
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken_by_star = t;
    } else if (p < pattern.size() && is_one(pattern[p])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken_by_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool any_matches(std::span<const std::string> patterns, std::string_view text) {
  return std::ranges::any_of(patterns, [&](const std::string& one) { return matches(one, text); });
}

}  // namespace base
