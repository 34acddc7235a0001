#include "tunnel/tls_files.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

namespace tunnel {
namespace {

std::string mode_text(mode_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

std::optional<std::string> key_complaint(const std::string& path, const struct stat& status,
                                         uid_t uid) {
  const mode_t mode = status.st_mode;
  if (status.st_uid != 0 && status.st_uid != uid) {
    return "the private key " + path + " belongs to uid " + std::to_string(status.st_uid) +
           "; it must belong to root or to uid " + std::to_string(uid);
  }
  const bool credential = status.st_uid == 0 && status.st_gid == 0 && (mode & 07777) == 0440;
  if ((mode & 077) == 0 || credential) return std::nullopt;
  return "the private key " + path + " has mode " + mode_text(mode) +
         ", so others than its owner may use it; it must have mode 0600 or 0400";
}

using Content = base::Result<std::optional<TlsFile>, std::string>;

// The byte kept for the NUL is offered too, so that a file that grows meanwhile is noticed.
Content read_whole(int fd, const std::string& path, std::size_t size) {
  TlsFile file(size);
  std::size_t have = 0;
  while (have <= size) {
    const ssize_t got = ::read(fd, file.data() + have, size + 1 - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::Failure{"cannot read " + path + ": " + base::system_words(errno)};
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  if (have != size) return base::Failure{path + " changed while it was read"};
  return std::optional<TlsFile>(std::move(file));
}

Content read_checked(const std::string& path, std::size_t limit, const uid_t* key_owner) {
  // A FIFO in the place of a file must not hold up the loop.
  const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<TlsFile>();
    return base::Failure{"cannot read " + path + ": " + base::system_words(errno)};
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    return base::Failure{"cannot read " + path + ": " + base::system_words(errno)};
  }
  if (!S_ISREG(status.st_mode)) return base::Failure{path + " is not a regular file"};
  if (key_owner != nullptr) {
    if (auto complaint = key_complaint(path, status, *key_owner)) {
      return base::Failure{std::move(*complaint)};
    }
  }
  if (status.st_size < 0 || static_cast<std::size_t>(status.st_size) > limit) {
    return base::Failure{path + " has " + std::to_string(status.st_size) + " bytes; at most " +
                         std::to_string(limit) + " are read"};
  }
  return read_whole(fd.get(), path, static_cast<std::size_t>(status.st_size));
}

}  // namespace

TlsPlaces tls_places() {
  TlsPlaces places;
  places.uid = ::geteuid();
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    places.home = home;
    return places;
  }
  std::array<char, 4096> buffer{};
  struct passwd entry {};
  struct passwd* found = nullptr;
  if (getpwuid_r(places.uid, &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    places.home = found->pw_dir;
  }
  return places;
}

TlsPaths tls_paths(const std::string& pkipath, const TlsPlaces& places,
                   const std::function<bool(const std::string&)>& exists) {
  const auto all_in = [](const std::string& folder) {
    return TlsPaths{folder + "/cacert.pem", folder + "/cacrl.pem", folder + "/clientcert.pem",
                    folder + "/clientkey.pem"};
  };
  if (!pkipath.empty()) return all_in(pkipath);
  TlsPaths paths{places.system + "/CA/cacert.pem", places.system + "/CA/cacrl.pem",
                 places.system + "/libvirt/clientcert.pem",
                 places.system + "/libvirt/private/clientkey.pem"};
  if (places.uid == 0 || places.home.empty()) return paths;
  TlsPaths user = all_in(places.home + "/.pki/libvirt");
  if (exists(user.ca)) paths.ca = std::move(user.ca);
  if (exists(user.crl)) paths.crl = std::move(user.crl);
  if (exists(user.certificate) && exists(user.key)) {
    paths.certificate = std::move(user.certificate);
    paths.key = std::move(user.key);
  }
  return paths;
}

bool tls_file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

TlsFile::~TlsFile() {
  if (!content_.empty()) explicit_bzero(content_.data(), content_.size());
}

Content tls_read_file(const std::string& path, std::size_t limit) {
  return read_checked(path, limit, nullptr);
}

Content tls_read_key(const std::string& path, uid_t uid) {
  return read_checked(path, kTlsKeyLimit, &uid);
}

}  // namespace tunnel
