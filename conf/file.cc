#include "conf/file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

namespace conf {
namespace {

// A FIFO in the place of a file must not hold anybody up.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

base::Failure<FileError> system_failure(int code) {
  return {FileError{code, "cannot be read: " + std::generic_category().message(code)}};
}

// Never waits, and fills in `status` only for a regular file.
std::optional<FileError> wrong_file(const base::Fd& file, struct stat& status) {
  if (file.get() < 0 || fstat(file.get(), &status) != 0) return system_failure(errno).error;
  if (!S_ISREG(status.st_mode)) return FileError{0, "is not a regular file"};
  return std::nullopt;
}

FileError too_large(std::size_t most) {
  return {0, "is larger than " + std::to_string(most) + " bytes"};
}

std::optional<FileError> exposed(const struct stat& status, uid_t uid) {
  const mode_t mode = status.st_mode & 07777;
  if (status.st_uid != 0 && status.st_uid != uid) {
    return FileError{0, "belongs to uid " + std::to_string(status.st_uid) +
                            "; it must belong to root or to uid " + std::to_string(uid)};
  }
  const bool credential = status.st_uid == 0 && status.st_gid == 0 && mode == 0440;
  if ((mode & 077) == 0 || credential) return std::nullopt;
  std::array<char, 16> octal{};
  std::snprintf(octal.data(), octal.size(), "%04o", static_cast<unsigned>(mode));
  return FileError{0, std::string("has mode ") + octal.data() +
                          ", so others than its owner may use the passwords in it; it must have "
                          "mode 0600 or 0400"};
}

}  // namespace

base::Result<std::string, FileError> read_file(const std::string& path, std::size_t most) {
  const base::Fd file(open(path.c_str(), kOpenFlags));
  struct stat status {};
  if (auto wrong = wrong_file(file, status)) return base::Failure{std::move(*wrong)};
  std::string text;
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t count = read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(errno);
    if (count == 0) return text;
    if (static_cast<std::size_t>(count) > most - text.size()) {
      return base::Failure{too_large(most)};
    }
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

// One byte more than the file has is asked for, so that a file that grows meanwhile is noticed.
base::Result<base::Secret, FileError> read_secret_file(const std::string& path, std::size_t most,
                                                       uid_t uid) {
  const base::Fd file(open(path.c_str(), kOpenFlags));
  struct stat status {};
  if (auto wrong = wrong_file(file, status)) return base::Failure{std::move(*wrong)};
  if (auto wrong = exposed(status, uid)) return base::Failure{std::move(*wrong)};
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > most) return base::Failure{too_large(most)};
  base::Secret content(size + 1);
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t count = read(file.get(), content.data() + have, content.size() - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(errno);
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  if (have != size) return base::Failure{FileError{0, "changed while it was read"}};
  content.shrink(size);
  return content;
}

}  // namespace conf
