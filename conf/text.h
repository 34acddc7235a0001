// Small helpers on text that the parts of conf share. ASCII only, without locale.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace conf {

std::string lower(std::string_view text);
bool same_ignoring_case(std::string_view a, std::string_view b);

bool is_letter(char c);
bool is_digit(char c);

// The text in double quotes, made safe to show. An object and not a function: some libraries
// declare std::quoted() wherever strings are, and a call with a string would find that too.
struct Quoted {
  std::string operator()(std::string_view text) const;
};
inline constexpr Quoted quoted;

// True when the text has bytes that no name, host or path of a configuration needs: controls and
// NUL.
bool has_controls(std::string_view text);

// The word of `known` that `word` was most likely meant to be; nothing when none is near.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

// A decimal number of digits alone that is `most` at most.
std::optional<std::uint64_t> decimal(std::string_view text, std::uint64_t most);

// A switch of a URI, as libvirt reads it: blanks and a sign in front, decimal, nothing behind; not
// zero means on. Nothing: it is no such number.
std::optional<bool> switch_value(std::string_view text);

}  // namespace conf
