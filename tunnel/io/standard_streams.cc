#include "tunnel/io/standard_streams.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"

namespace tunnel::io {
namespace {

constexpr unsigned kMemoryDevices = 1;  // /dev/null and its like; see devices.txt of the kernel
constexpr int kFirstFree = 3;

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

// What is wrong with it; empty text: nothing.
StandardFault fault_of(int fd, const std::string& name) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return {false, name + ": " + base::system_words(errno)};
  if (isatty(fd) == 1) return {true, name + " is a terminal"};
  const bool fine = S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) ||
                    (S_ISSOCK(status.st_mode) && is_stream_socket(fd)) ||
                    (S_ISCHR(status.st_mode) && major(status.st_rdev) == kMemoryDevices);
  if (fine) return {};
  return {false, name + " is neither a pipe, nor a stream socket, nor a file"};
}

}  // namespace

base::Result<StandardFds, StandardFault> take_standard_streams() {
  for (const auto& [fd, name] :
       {std::pair(STDIN_FILENO, "standard input"), std::pair(STDOUT_FILENO, "standard output")}) {
    StandardFault fault = fault_of(fd, name);
    if (!fault.text.empty()) return base::Failure{std::move(fault)};
  }
  const auto failed = [](const char* what) {
    return base::Failure{StandardFault{false, what + (": " + base::system_words(errno))}};
  };
  // While standard error is closed, it is what this gets.
  base::Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.ok()) return failed("/dev/null");
  if (null.get() == STDERR_FILENO) {
    static_cast<void>(null.release());
    null.reset(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, kFirstFree));
  }
  base::Fd in(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, kFirstFree));
  base::Fd out(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, kFirstFree));
  if (!null.ok() || !in.ok() || !out.ok() || dup2(null.get(), STDIN_FILENO) < 0 ||
      dup2(null.get(), STDOUT_FILENO) < 0) {
    return failed("standard input and output");
  }
  return StandardFds{in.release(), out.release()};
}

}  // namespace tunnel::io
