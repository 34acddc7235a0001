// Whether files are still what they were, without reading them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tunnel {

// What tells one state of the files from another: that they are there, their identity, size and
// times. A file that was replaced or written again has changed, also when it holds the same.
std::string file_marks(const std::vector<std::string>& paths);

// What the connections of a tunnel were founded on.
class FileMarks {
 public:
  // `paths` gives the files that count at that moment.
  explicit FileMarks(std::function<std::vector<std::string>()> paths) : paths_(std::move(paths)) {}

  // To be called before a connection reads the files.
  void note();
  // Whether a connection may have read anything else than what the files hold now. False as long as
  // none was made.
  [[nodiscard]] bool changed() const;

 private:
  std::function<std::vector<std::string>()> paths_;
  std::optional<std::string> first_;
  bool differed_ = false;
};

}  // namespace tunnel
