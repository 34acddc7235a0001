#include "tunnel/io/local_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tunnel/io/address.h"

namespace tunnel::io {
namespace {

constexpr int kBacklog = 4096;
constexpr int kLockAttempts = 100;
constexpr timespec kLockPause{0, 10'000'000};

using Problem = std::optional<std::string>;

std::string words(std::string_view doing) {
  return std::string(doing) + ": " + base::system_words(errno);
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int local_socket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

const sockaddr* raw(const UnixAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.raw);
}

// Held by those who are about to bind the same path. The file belongs to us and nobody else can
// open it, so a stranger cannot hold it.
class Lock {
 public:
  explicit Lock(std::string path) : path_(std::move(path)) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (file_.ok()) unlink(path_.c_str());
  }

  Problem take(bool waits) {
    for (int i = 0; i < (waits ? kLockAttempts : 1); ++i) {
      base::Fd file(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
      if (!file.ok()) return words("cannot make " + path_);
      if (flock(file.get(), LOCK_EX | LOCK_NB) == 0 && still_there(file.get())) {
        file_.reset(file.release());
        return std::nullopt;
      }
      if (waits) nanosleep(&kLockPause, nullptr);
    }
    return path_ + " stays locked by another process";
  }

 private:
  // Whoever had it before may have removed it between our open and our lock.
  [[nodiscard]] bool still_there(int fd) const {
    struct stat ours {};
    struct stat there {};
    return fstat(fd, &ours) == 0 && lstat(path_.c_str(), &there) == 0 && same_file(ours, there);
  }

  std::string path_;
  base::Fd file_{-1};
};

Problem remove_if_stale(const std::string& path, const UnixAddress& address) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) {
    return errno == ENOENT ? Problem() : words("cannot look at it");
  }
  if (S_ISDIR(file.st_mode)) return "there is a directory";
  if (!S_ISSOCK(file.st_mode)) return "there is a file that is no socket";
  const base::Fd probe(local_socket());
  if (!probe.ok()) return words("cannot make a socket");
  if (connect(probe.get(), raw(address), address.length) == 0 || errno == EAGAIN) {
    return "someone already listens there";
  }
  if (errno == ENOENT) return std::nullopt;
  if (errno != ECONNREFUSED) return words("cannot tell whether someone listens there");
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return words("cannot remove the old socket");
  return std::nullopt;
}

Problem bind_to(int fd, const UnixAddress& address) {
  if (bind(fd, raw(address), address.length) == 0) return std::nullopt;
  return errno == EADDRINUSE ? "someone already listens there" : words("cannot bind it");
}

Problem grant(const std::string& path, const LocalAddress& address) {
  const auto nobody = static_cast<uid_t>(-1);
  if (address.group &&
      fchownat(AT_FDCWD, path.c_str(), nobody, *address.group, AT_SYMLINK_NOFOLLOW) != 0) {
    return words("cannot give it to the group");
  }
  if (fchmodat(AT_FDCWD, path.c_str(), address.mode & 0777, AT_SYMLINK_NOFOLLOW) != 0) {
    return words("cannot set its mode");
  }
  return std::nullopt;
}

}  // namespace

base::Result<std::unique_ptr<LocalSocket>, std::string> LocalSocket::bind(
    const LocalAddress& address) {
  const auto failed = [&](const std::string& why) {
    return base::Failure{address.name + ": " + why};
  };
  auto target = unix_address(address.name);
  if (!target) return failed(target.error());
  const bool abstract = address.name.starts_with('@');
  if (abstract && address.padded) target->length = sizeof target->raw;
  Lock lock(address.name + ".lock");
  if (!abstract) {
    if (const auto problem = lock.take(address.waits)) return failed(*problem);
    if (const auto problem = remove_if_stale(address.name, *target)) return failed(*problem);
  }
  const int fd = local_socket();
  if (fd < 0) return failed(words("cannot make a socket"));
  std::unique_ptr<LocalSocket> made(new LocalSocket(fd, address.name));
  // Linux makes the file with the mode of the socket; see unix_bind() in net/unix/af_unix.c. Nobody
  // can connect before the mode and the group are right.
  if (fchmod(fd, 0) != 0) return failed(words("cannot set the socket's mode"));
  if (const auto problem = bind_to(fd, *target)) return failed(*problem);
  if (!abstract) {
    struct stat file {};
    if (lstat(address.name.c_str(), &file) != 0) return failed(words("it went away"));
    made->file_ = file;
    if (const auto problem = grant(address.name, address)) return failed(*problem);
  }
  if (listen(fd, kBacklog) != 0) return failed(words("cannot listen"));
  return made;
}

base::Result<std::unique_ptr<LocalSocket>, std::string> LocalSocket::adopt(int fd) {
  std::unique_ptr<LocalSocket> made(new LocalSocket(fd, "descriptor " + std::to_string(fd)));
  const auto failed = [&](const std::string& why) {
    return base::Failure{made->name_ + ": " + why};
  };
  const auto option = [fd](int name) {
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
  };
  if (option(SO_DOMAIN) != AF_UNIX || option(SO_TYPE) != SOCK_STREAM ||
      option(SO_ACCEPTCONN) != 1) {
    return failed("this is no listening Unix stream socket");
  }
  const int status = fcntl(fd, F_GETFL);
  if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return failed(words("cannot prepare it"));
  }
  sockaddr_un address{};
  socklen_t length = sizeof address;
  constexpr socklen_t kBefore = offsetof(sockaddr_un, sun_path);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 && length > kBefore) {
    std::string name(address.sun_path, std::min<std::size_t>(length, sizeof address) - kBefore);
    if (name.front() == '\0') name.front() = '@';
    made->name_ = name.substr(0, name.find('\0'));
  }
  return made;
}

bool LocalSocket::in_place() const {
  if (name_.starts_with('@')) return true;
  struct stat there {};
  if (lstat(name_.c_str(), &there) != 0) return false;
  return !file_ || same_file(*file_, there);
}

LocalSocket::~LocalSocket() {
  if (!file_) return;
  // While it still listens: another process that wants the path now finds it taken and leaves it
  // alone.
  struct stat there {};
  if (lstat(name_.c_str(), &there) == 0 && same_file(*file_, there)) unlink(name_.c_str());
}

}  // namespace tunnel::io
