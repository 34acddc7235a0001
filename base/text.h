// Foreign text made safe to show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace base {

// What `text` looks like in a log line, an error message or a terminal: C0 and C1
// controls, DEL, the Unicode line separators, direction overrides and bytes that are no UTF-8
// become \xNN, and a backslash becomes \\, so that no two texts look alike. More than `limit` bytes
// of result are cut, which three dots say.
std::string printable(std::string_view text, std::size_t limit = 512);

// Foreign prose of several lines for a terminal: what printable() would escape is a question mark
// each, but for backslashes, line feeds and tabs, which stay. It is no longer than `text`.
std::string without_controls(std::string_view text);

// `text` as it is, but at most `limit` bytes of it and three dots for the rest: for foreign text
// inside a message. The message is made printable where it is shown, once.
std::string shortened(std::string_view text, std::size_t limit = 512);

// Without the blanks and tabs around it. It views `text`.
std::string_view trimmed(std::string_view text);

// The word in single quotes, for a POSIX shell.
std::string quoted_for_shell(std::string_view word);

// A control of ASCII: below a blank, or DEL.
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool has_controls(std::string_view text);

// The value of a hexadecimal digit; -1: it is none.
constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// ASCII letters made small, without locale.
std::string lower(std::string_view text);

}  // namespace base
