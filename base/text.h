// Foreign text made safe to show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace base {

// What `text` looks like in a log line, an error message or a terminal, whoever wrote it: C0 and C1
// controls, DEL, the Unicode line separators, direction overrides and bytes that are no UTF-8
// become \xNN, and a backslash becomes \\, so that no two texts look alike. More than `limit` bytes
// of result are cut, which three dots say.
std::string printable(std::string_view text, std::size_t limit = 512);

}  // namespace base
