// The S-expressions that xend answers with: lists in parentheses of lists, atoms and strings, the
// last in single or double quotes with backslash escapes. xend quotes whatever is not letters,
// digits and a few signs, so less is taken here than its own reader takes: no comments, and no
// brackets of other kinds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace policy {

// What xend writes nests about eight deep.
inline constexpr std::size_t kDeepestSexpr = 64;

// What the outermost lists are.
enum class SexprKind : std::uint8_t {
  nodes,  // a key and its values
  names,  // of domains; the first is a name like the others
};

// The text without its passwords: each node whose key ends in "passwd" or "password", in any case,
// is left out with all that it holds, wherever it is. So is one whose key is written with escapes,
// which xend never does. Nothing: the text is no sequence of one or more such lists, or nothing is
// left of it.
std::optional<std::string> without_passwords(std::string_view text, SexprKind kind);

}  // namespace policy
