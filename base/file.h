// Small files, read in one piece, secret or not.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/result.h"
#include "base/secret.h"
#include "base/shortage.h"

namespace base {

struct FileError {
  int code = 0;      // an errno; 0 when the file is there and is not as it must be
  std::string why;   // "Permission denied", "is not a regular file"
  std::string text;  // "/path: Permission denied"; raw

  // There is no such file.
  [[nodiscard]] bool missing() const;
  // We may not read it.
  [[nodiscard]] bool denied() const;
  // It cannot be read now.
  [[nodiscard]] bool shortage() const { return is_shortage(code); }
  [[nodiscard]] Problem problem() const { return {text, shortage()}; }
};

struct FileText {
  Secret text;  // any file may hold one
  mode_t mode = 0;
  uid_t owner = 0;
  gid_t group = 0;
};

// A regular file of at most `limit` bytes. Links are followed, and nothing is ever waited for.
Result<FileText, FileError> read_file(const std::string& path, std::size_t limit);

// The error that errno says about a path.
FileError file_error(const std::string& path, int code);

// "0640".
std::string mode_text(mode_t mode);

// Why a file is not fit to hold a secret of `uid`: "mode 0644, needs 0600". It must belong to root
// or `uid`, and nobody else may read or write it. The one exception is mode 0440 of root and its
// group: so systemd hands out credentials, with an access list for the service's user whose mask
// the group's bits are.
std::optional<std::string> exposed(const FileText& file, uid_t uid);

}  // namespace base
