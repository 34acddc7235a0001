#include "conf/named_paths.h"

#include <cerrno>

#include <sys/stat.h>

#include "base/fd.h"
#include "base/file.h"
#include "conf/text.h"

namespace conf {
namespace {

using Kind = NamedPath::Kind;
using tunnel::Transport;

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_kind(const struct stat& file, Kind kind) {
  switch (kind) {
    case Kind::file:
    case Kind::secret:
    case Kind::key:
    case Kind::program:
      return S_ISREG(file.st_mode);
    case Kind::socket:
      return S_ISSOCK(file.st_mode);
    case Kind::folder:
    case Kind::parent:
    case Kind::certificates:
      return S_ISDIR(file.st_mode);
  }
  return true;
}

std::string kind_words(Kind kind) {
  if (kind == Kind::socket) return "a socket";
  const bool folder = kind == Kind::folder || kind == Kind::parent || kind == Kind::certificates;
  return folder ? "a folder" : "a regular file";
}

// Whose it has to be is left to the user that the service runs as, who may be another one.
std::string wrong_with_secret(const std::string& path, const struct stat& file, Kind kind) {
  if (kind == Kind::key && path.ends_with(".pub")) {
    return " is the public key; name the private one, without .pub";
  }
  base::FileText access;
  access.mode = file.st_mode;
  access.owner = file.st_uid;
  access.group = file.st_gid;
  const auto why = base::exposed(access, file.st_uid);
  return why ? ": " + *why : std::string();
}

// What is wrong with a path that is there and of its kind; follows the path.
std::string wrong_inside(const NamedPath& named, const struct stat& file) {
  struct stat inner {};
  switch (named.kind) {
    case Kind::secret:
    case Kind::key:
      return wrong_with_secret(named.path, file, named.kind);
    case Kind::program:
      return (file.st_mode & 0111U) == 0 ? " is not executable" : "";
    case Kind::certificates:
      if (::stat((named.path + "/cacert.pem").c_str(), &inner) == 0) return {};
      return ": cacert.pem: " + base::system_words(errno);
    case Kind::file:
    case Kind::folder:
    case Kind::parent:
    case Kind::socket:
      break;
  }
  return {};
}

// Without a slash in front a name is looked for elsewhere, or means what only the other end knows.
std::string wrong_with(const NamedPath& named) {
  const bool parent = named.kind == Kind::parent;
  const std::string path = parent ? folder_of(named.path) : named.path;
  if (!path.starts_with('/')) return {};
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) {
    return named.what + ": " + quoted(path) + ": " + base::system_words(errno);
  }
  if (!is_kind(file, named.kind)) {
    return named.what + ": " + quoted(path) + " is not " + kind_words(named.kind);
  }
  if (parent && ::stat(named.path.c_str(), &file) == 0 && S_ISDIR(file.st_mode)) {
    return quoted(named.path) + " is a folder; add the name of a file or socket in it";
  }
  const std::string wrong = wrong_inside(named, file);
  return wrong.empty() ? wrong : named.what + ": " + quoted(path) + wrong;
}

}  // namespace

std::vector<NamedPath> paths_of(const TargetConfig& target, const Position& position) {
  std::vector<NamedPath> out;
  const auto add = [&](Kind kind, const std::string& path, const std::string& what) {
    if (path.empty()) return;
    out.push_back({kind, path, what + " of target " + quoted(target.name), position});
  };
  const tunnel::Target& tunnel = target.tunnel;
  add(Kind::secret, target.auth.authfile, "authfile=");
  if (tunnel.transport == Transport::tls) add(Kind::certificates, tunnel.pkipath, "pkipath=");
  if (tunnel.transport == Transport::unix && tunnel.sockets.size() == 1) {
    add(Kind::socket, tunnel.sockets.front(), "the socket");
  }
  add(Kind::program, tunnel.command, "command=");
  if (tunnel.transport != Transport::ssh) return out;
  add(Kind::key, tunnel.keyfile, "keyfile=");
  add(Kind::secret, tunnel.passphrase_file, "passphrase_file");
  // With automatic, the first connection makes it.
  if (tunnel.known_hosts_verify == tunnel::KnownHostsVerify::normal) {
    add(Kind::file, tunnel.known_hosts, "known_hosts=");
  }
  return out;
}

std::vector<Mistake> missing(const std::vector<NamedPath>& paths) {
  std::vector<Mistake> out;
  for (const NamedPath& one : paths) {
    if (auto wrong = wrong_with(one); !wrong.empty()) {
      out.push_back({one.position, std::move(wrong)});
    }
  }
  return out;
}

}  // namespace conf
