// The snapshot of a gate for people: lines of text, each with a style that a terminal may show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "proxy/record/audit.h"
#include "proxy/record/snapshot.h"

namespace proxy {

enum class Style : std::uint8_t { plain, heading, good, warning, bad };

struct StyledLine {
  std::string text;  // printable, without an end of line
  Style style = Style::plain;
};

// `before` is an earlier snapshot of the same gate to take rates from; null: there are none.
// `names` are those of users.
std::vector<StyledLine> status_lines(const Snapshot& now, const Snapshot* before,
                                     const UserNames& names);

// The text of the lines. With `colour` each has its style.
std::string in_lines(const std::vector<StyledLine>& lines, bool colour);

// The lines cut to a terminal's size, as what redraws the whole of it from its upper left corner.
// What does not fit is counted in the last line.
std::string on_screen(const std::vector<StyledLine>& lines, std::size_t rows, std::size_t columns,
                      bool colour);

}  // namespace proxy
