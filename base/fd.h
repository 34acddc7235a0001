// A file descriptor that is closed when its owner goes, and what the system says of a failure.
#pragma once

#include <string>
#include <system_error>

#include <unistd.h>

namespace base {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] bool ok() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }
  // Whoever calls it closes it from now on.
  [[nodiscard]] int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

// "Connection refused", of an errno.
inline std::string system_words(int error) { return std::system_category().message(error); }

}  // namespace base
