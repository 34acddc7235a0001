#include "conf/file.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conf {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

base::Failure<FileError> system_failure(int code) {
  return {FileError{code, "cannot be read: " + std::generic_category().message(code)}};
}

}  // namespace

base::Result<std::string, FileError> read_file(const std::string& path, std::size_t most) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) return system_failure(errno);
  if (!S_ISREG(status.st_mode)) return base::Failure{FileError{0, "is not a regular file"}};
  std::string text;
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t count = read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(errno);
    if (count == 0) return text;
    if (static_cast<std::size_t>(count) > most - text.size()) {
      return base::Failure{FileError{0, "is larger than " + std::to_string(most) + " bytes"}};
    }
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace conf
