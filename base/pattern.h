// Patterns of names, as configurations and known_hosts files have them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace base {

enum class Wildcards : std::uint8_t {
  star,               // * stands for any number of characters
  star_and_question,  // and ? for one
};

// Whether `pattern` is the whole of `text`. Takes no longer than the product of their lengths.
bool matches(std::string_view pattern, std::string_view text,
             Wildcards wildcards = Wildcards::star);

// Whether one of these patterns is the whole of `text`.
bool any_matches(std::span<const std::string> patterns, std::string_view text);

}  // namespace base
