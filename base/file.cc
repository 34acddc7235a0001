#include "base/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

namespace base {
namespace {

Failure<FileError> unfit(const std::string& path, const std::string& why) {
  return {FileError{0, why, path + ' ' + why}};
}

// Landlock takes away the content of files and leaves what access(2) says of their modes, so that
// nobody would look for it behind "Permission denied".
std::string confinement_words(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(realpath(path.c_str(), nullptr), std::free);
  if (real == nullptr || access(path.c_str(), R_OK) != 0) return "";
  std::string folder = real.get();
  folder.resize(std::max<std::size_t>(folder.rfind('/'), 1));
  return ", although its mode allows it: the service's sandbox is fixed at its start and does not "
         "have the folder " +
         folder + "; systemctl restart virtgate";
}

}  // namespace

bool FileError::missing() const { return code == ENOENT || code == ENOTDIR; }

bool FileError::denied() const { return code == EACCES; }

FileError file_error(const std::string& path, int code) {
  std::string why = system_words(code);
  if (code == EACCES) why += confinement_words(path);
  return {code, why, path + ": " + why};
}

Result<FileText, FileError> read_file(const std::string& path, std::size_t limit) {
  // Without O_NONBLOCK a named pipe would hold the caller.
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!file.ok() || fstat(file.get(), &status) != 0) return Failure{file_error(path, errno)};
  if (!S_ISREG(status.st_mode)) return unfit(path, "is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (status.st_size < 0 || size > limit) {
    return unfit(path, "is larger than " + std::to_string(limit) + " bytes");
  }
  // One byte more than the file has is asked for, so that a file that grows meanwhile is noticed.
  Secret text(size + 1);
  std::size_t have = 0;
  while (have <= size) {
    const ssize_t count = read(file.get(), text.data() + have, size + 1 - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failure{file_error(path, errno)};
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  if (have != size) return unfit(path, "changed while it was read");
  text.shrink(size);
  return FileText{std::move(text), status.st_mode, status.st_uid, status.st_gid};
}

std::string mode_text(mode_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode));
  return text.data();
}

std::optional<std::string> exposed(const FileText& file, uid_t uid) {
  if (file.owner != 0 && file.owner != uid) {
    return "belongs to uid " + std::to_string(file.owner) + ", must belong to root or to uid " +
           std::to_string(uid);
  }
  const mode_t mode = file.mode & 07777;
  const bool credential = file.owner == 0 && file.group == 0 && mode == 0440;
  if ((mode & 077) == 0 || credential) return std::nullopt;
  return "mode " + mode_text(mode) + ", needs 0600";
}

}  // namespace base
