// Where in which file something stands, and what is wrong there.
#pragma once

#include <cstdint>
#include <string>

namespace conf {

// A position in a file; line and column count from 1, and 0 means the whole.
struct Position {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool operator==(const Position&) const = default;
};

// A text and where it stands.
struct Positioned {
  std::string text;
  Position position;
};

// A mistake: where, and what is wrong, in words that name it.
struct Mistake {
  Position position;
  std::string text;
  bool lapsed = false;  // of a warning: what it is about is not in force
};

// "file:line:column: text", leaving out what is not known.
std::string to_string(const Mistake& mistake);

}  // namespace conf
