// Small helpers on text that the parts of conf share. ASCII only, without locale.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace conf {

using base::lower;
bool same_ignoring_case(std::string_view a, std::string_view b);

bool is_letter(char c);
bool is_digit(char c);

// The text in double quotes, cut to a length that a message can hold, with *** for the password of
// a URI in it, but not escaped: see base/text.h. An object and not a function: some libraries
// declare std::quoted() wherever strings are, and a call with a string would find that too.
struct Quoted {
  std::string operator()(std::string_view text) const;
};
inline constexpr Quoted quoted;

using base::has_controls;

// The word of `known` that `word` was most likely meant to be; nothing when none is near.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

// "; did you mean "X"?", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

// The same with the words that `word_of` has of things.
template <typename Things, typename WordOf>
std::string did_you_mean(std::string_view word, const Things& things, WordOf word_of) {
  std::vector<std::string_view> known;
  known.reserve(things.size());
  for (const auto& thing : things) known.emplace_back(std::invoke(word_of, thing));
  return did_you_mean(word, known);
}

// "there is no target "X"", with the name among `targets` that was most likely meant. `word_of` has
// the name of each.
template <typename Targets, typename WordOf>
std::string no_target(std::string_view name, const Targets& targets, WordOf word_of) {
  return "there is no target " + quoted(name) + did_you_mean(name, targets, word_of);
}

// A decimal number of digits alone that is `most` at most.
std::optional<std::uint64_t> decimal(std::string_view text, std::uint64_t most);

// A switch of a URI, as libvirt reads it: blanks and a sign in front, decimal, nothing behind; not
// zero means on. Nothing: it is no such number.
std::optional<bool> switch_value(std::string_view text);

}  // namespace conf
