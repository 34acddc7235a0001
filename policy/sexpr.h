// The S-expressions that xend answers with: lists in parentheses of lists, atoms and strings, the
// last in single or double quotes with backslash escapes. xend quotes whatever is not letters,
// digits and a few signs, so less is taken here than its own reader takes: no comments, and no
// brackets of other kinds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace policy {

// What xend writes nests about eight deep.
inline constexpr std::size_t kDeepestSexpr = 64;

// What the outermost lists are.
enum class SexprKind : std::uint8_t {
  nodes,  // a key and its values
  names,  // of domains; the first is a name like the others
};

// Takes the passwords out of such a text: each node whose key ends in "passwd" or "password", in
// any case, is left out with all that it holds, wherever it is. So is one whose key is written with
// escapes, which xend never does.
class Scrubber {
 public:
  // The text outlives it.
  Scrubber(std::string_view text, SexprKind kind) : text_(text), kind_(kind) {}

  // Goes on for so many bytes, to the end of what it is in then. True: it is through.
  bool go_on(std::size_t bytes);
  // Once it is through. Nothing: the text is no sequence of one or more such lists, or nothing is
  // left of it.
  std::optional<std::string> take();

 private:
  struct List {
    std::size_t start = 0;   // in the copy
    bool is_first = false;   // in the list around it
    bool has_first = false;  // of its own elements
    bool secret = false;
  };

  bool step();
  bool open();
  bool close();
  bool token();
  [[nodiscard]] std::size_t token_end() const;
  [[nodiscard]] std::size_t string_end() const;
  void copy(std::size_t end);
  void separate();

  std::string_view text_;
  SexprKind kind_;
  std::size_t at_ = 0;
  std::string out_;
  bool wrong_ = false;
  bool gap_ = false;  // something has just been left out
  std::vector<List> lists_;
};

// All at once.
std::optional<std::string> without_passwords(std::string_view text, SexprKind kind);

}  // namespace policy
