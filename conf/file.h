// Reading a whole file of bounded size.
#pragma once

#include <cstddef>
#include <string>

#include <sys/types.h>

#include "base/result.h"
#include "base/secret.h"

namespace conf {

struct Unreadable {
  int code = 0;      // errno; 0 when the file itself is what is wrong
  std::string text;  // a sentence without the path
};

// Only regular files are read, so that this never waits. `most` is in bytes.
base::Result<std::string, Unreadable> read_file(const std::string& path, std::size_t most);

// The same for a file with passwords, which is refused when it is exposed to others than `uid`.
base::Result<base::Secret, Unreadable> read_secret_file(const std::string& path, std::size_t most,
                                                        uid_t uid);

}  // namespace conf
