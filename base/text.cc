#include "base/text.h"

#include <algorithm>
#include <cstdint>

namespace base {
namespace {

struct Character {
  std::size_t length;  // 0: no UTF-8 here
  std::uint32_t code;
};

Character decode(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = at(0);
  if (first < 0x80) return {1, first};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {0, 0};
  std::uint32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {0, 0};
    code = code << 6 | (at(i) & 0x3f);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (overlong || surrogate || code > 0x10ffff) return {0, 0};
  return {length, code};
}

bool shows_safely(std::uint32_t code) {
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
  if (code == 0x2028 || code == 0x2029 || code == 0xfeff) return false;
  if ((code >= 0x200b && code <= 0x200f) || (code >= 0x202a && code <= 0x202e)) return false;
  return code < 0x2066 || code > 0x2069;
}

void append_hex(std::string& to, std::string_view raw) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : raw) {
    const auto byte = static_cast<std::uint8_t>(c);
    to += "\\x";
    to += kDigits[byte >> 4];
    to += kDigits[byte & 15];
  }
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const Character c = decode(text);
    const std::size_t length = c.length == 0 ? 1 : c.length;
    std::string piece;
    if (c.length != 0 && c.code == '\\') {
      piece = "\\\\";
    } else if (c.length != 0 && shows_safely(c.code)) {
      piece = text.substr(0, length);
    } else {
      append_hex(piece, text.substr(0, length));
    }
    if (out.size() + piece.size() > limit) return out + "...";
    out += piece;
    text.remove_prefix(length);
  }
  return out;
}

std::string without_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = decode(text);
    const std::size_t length = c.length == 0 ? 1 : c.length;
    if (c.length != 0 && (shows_safely(c.code) || c.code == '\n' || c.code == '\t')) {
      out += text.substr(0, length);
    } else {
      out += '?';
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  // No character of UTF-8 is cut in two.
  for (int i = 0; i < 3 && limit != 0; ++i) {
    if ((static_cast<std::uint8_t>(text[limit]) & 0xc0) != 0x80) break;
    --limit;
  }
  return std::string(text.substr(0, limit)) + "...";
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string quoted_for_shell(std::string_view word) {
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  out += '\'';
  return out;
}

bool has_controls(std::string_view text) { return std::ranges::any_of(text, is_control); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace base
