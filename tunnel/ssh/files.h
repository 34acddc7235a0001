// Small files, read in one piece.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

#include "base/result.h"
#include "base/secret.h"

namespace tunnel::ssh {

struct FileError {
  bool missing = false;  // there is no such file
  bool denied = false;   // we may not read it
  std::string text;      // "/path: Permission denied"
};

struct FileText {
  base::Secret text;
  mode_t mode = 0;
  uid_t owner = 0;
  gid_t group = 0;
};

// A regular file of at most `limit` bytes.
base::Result<FileText, FileError> read_file(const std::string& path, std::size_t limit);

// The error that errno says about a path.
FileError system_error(const std::string& path, int error);

}  // namespace tunnel::ssh
