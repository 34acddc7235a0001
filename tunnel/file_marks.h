// Whether files are still what they were, without reading them.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tunnel/io/errands.h"

namespace tunnel {

// What tells one state of the files from another: that they are there, their identity, size and
// times. A file that was replaced or written again has changed, also when it holds the same. Says
// which one is looked at.
std::string file_marks(const std::vector<std::string>& paths, io::Whereabouts& whereabouts);

// What the connections of a tunnel were founded on. From any thread: it looks at the disk, which
// may take long.
class FileMarks {
 public:
  using Paths = std::function<std::vector<std::string>(io::Whereabouts& whereabouts)>;

  // `paths` gives the files that count at that moment, in any thread and in several at a time.
  explicit FileMarks(Paths paths) : paths_(std::move(paths)) {}

  // To be called before a connection reads the files.
  void note(io::Whereabouts& whereabouts);
  // Whether a connection may have read anything else than what the files hold now. False as long as
  // none was made.
  [[nodiscard]] bool changed(io::Whereabouts& whereabouts) const;

 private:
  const Paths paths_;
  mutable std::mutex mutex_;
  std::optional<std::string> first_;
  bool differed_ = false;
};

}  // namespace tunnel
