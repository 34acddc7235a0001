// Reading a whole file of bounded size.
#pragma once

#include <cstddef>
#include <string>

#include <sys/types.h>

#include "base/result.h"
#include "base/secret.h"

namespace conf {

struct FileError {
  int code = 0;      // errno; 0 when the file itself is what is wrong
  std::string text;  // a sentence without the path
};

// Only regular files are read, so that this never waits. `most` is in bytes.
base::Result<std::string, FileError> read_file(const std::string& path, std::size_t most);

// The same for a file with passwords, which is refused unless it belongs to root or `uid` and
// nobody else may read or write it. The one exception is mode 0440 of root and its group: so
// systemd hands out credentials, with an access list for the service's user that the mode does not
// show.
base::Result<base::Secret, FileError> read_secret_file(const std::string& path, std::size_t most,
                                                       uid_t uid);

}  // namespace conf
