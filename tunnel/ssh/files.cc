#include "tunnel/ssh/files.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

namespace tunnel::ssh {
FileError system_error(const std::string& path, int error) {
  return {error == ENOENT || error == ENOTDIR, error == EACCES,
          base::printable(path, 4096) + ": " + strerror(error)};
}

base::Result<FileText, FileError> read_file(const std::string& path, std::size_t limit) {
  // Without O_NONBLOCK a named pipe would hold the loop.
  const base::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) {
    return base::Failure{system_error(path, errno)};
  }
  const std::string name = base::printable(path, 4096);
  if (!S_ISREG(status.st_mode))
    return base::Failure{FileError{false, false, name + ": no regular file"}};
  if (status.st_size < 0 || static_cast<std::size_t>(status.st_size) > limit) {
    return base::Failure{
        FileError{false, false, name + ": larger than " + std::to_string(limit) + " bytes"}};
  }
  FileText out{base::Secret(static_cast<std::size_t>(status.st_size)), status.st_mode,
               status.st_uid, status.st_gid};
  std::size_t length = 0;
  while (length < out.text.size()) {
    const ssize_t n = read(file.get(), out.text.data() + length, out.text.size() - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::Failure{system_error(path, errno)};
    if (n == 0) break;
    length += static_cast<std::size_t>(n);
  }
  out.text.shrink(length);
  return out;
}

}  // namespace tunnel::ssh
