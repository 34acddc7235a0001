// Reading a whole file of bounded size.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace conf {

struct FileError {
  int code = 0;      // errno; 0 when the file itself is what is wrong
  std::string text;  // a sentence without the path
};

// Only regular files are read, so that this never waits. `most` is in bytes.
base::Result<std::string, FileError> read_file(const std::string& path, std::size_t most);

}  // namespace conf
