// Reads values of a document, and notes what is wrong with them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/document.h"
#include "conf/mistake.h"
#include "conf/values.h"

namespace conf {

// Of one file. What cannot be read is noted and gives nothing, and reading goes on.
class Reader {
 public:
  // What is noted outlives the reader.
  Reader(std::string file, std::vector<Mistake>& mistakes, std::vector<Mistake>& warnings);

  [[nodiscard]] Position position_of(LineColumn position) const;
  void mistake(LineColumn position, std::string text);
  void warn(LineColumn position, std::string text);
  // A warning of something that is not in force, though it may be right elsewhere or later.
  void lapse(LineColumn position, std::string text);

  // Notes each key of the table that is not among `known`. `table` is what to call it.
  void expect_keys(const Node& table, std::string_view name,
                   std::span<const std::string_view> known);
  // Notes when the value has another kind; `wanted` says what it should be.
  bool expect(const Node& node, NodeKind kind, std::string_view wanted);

  std::optional<std::string> text(const Node& node, std::string_view wanted);
  std::optional<bool> boolean(const Node& node);
  std::optional<std::uint64_t> count(const Node& node, std::uint64_t least, std::uint64_t most);
  // "500ms", "30s", "5min", "1h".
  std::optional<Milliseconds> time(const Node& node, Milliseconds least, Milliseconds most);
  // Bytes: an integer, or "64KiB", "16MiB", "1GiB".
  std::optional<std::uint64_t> size(const Node& node, std::uint64_t least, std::uint64_t most);
  // The elements of a list of strings that are strings.
  std::vector<const Node*> texts(const Node& node);
  // The elements of an array of tables, each begun by `written`.
  std::vector<const Node*> tables(const Node& node, std::string_view written);

 private:
  template <typename T>
  std::optional<T> in_range(const Node& node, T value, T least, T most, std::string (*shown)(T));

  std::string file_;
  std::vector<Mistake>& mistakes_;
  std::vector<Mistake>& warnings_;
};

}  // namespace conf
