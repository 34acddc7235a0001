// A TOML text as a tree of plain values with their places, so that only one source needs to see
// the TOML library.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace conf {

// Line and column of something in a file, from 1.
struct LineColumn {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

enum class NodeKind : std::uint8_t { table, array, text, integer, number, boolean, time };

// "a table", "an integer" and so on.
std::string_view to_string(NodeKind kind);

struct Node {
  NodeKind kind = NodeKind::table;
  std::string key;          // in its table; elements of an array have that of the array
  LineColumn key_position;  // for elements and the root that of the value
  LineColumn position;      // of the value
  std::string text;
  std::int64_t integer = 0;
  bool boolean = false;
  std::vector<Node> children;  // of tables and arrays, in the order of the file

  // The value with this key, or nullptr. For tables.
  [[nodiscard]] const Node* find(std::string_view name) const;
};

struct SyntaxError {
  LineColumn position;
  std::string text;
};

// The root table.
base::Result<Node, SyntaxError> parse_document(std::string_view text);

}  // namespace conf
