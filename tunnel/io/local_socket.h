// A listening Unix socket, and the file it has in the file system.
//
// Two of us that start at the same time on the same path, and a path that is in use, are told apart
// from a file that was left behind like this: the process that binds holds a lock on `<path>.lock`
// while it looks, removes, binds and listens, and removes the lock file at the end. So the socket
// keeps the name that it was bound to, as the tools of the system show it, which it would not if it
// had been renamed into place.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <sys/stat.h>
#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace tunnel::io {

struct LocalAddress {
  std::string name;  // a path in a folder that exists; with a leading @, in the abstract namespace
  // Of the file; in the abstract namespace there are none, and whoever is on this host can connect.
  mode_t mode = 0600;
  std::optional<gid_t> group;
  // A name in the abstract namespace has zeros behind it up to the end of the address, 108 bytes in
  // all, for clients that pass the whole of sun_path: to the system these are part of the name.
  bool padded = false;
  // Whether to wait, up to a second, for another process that is about to bind the same path. In a
  // loop that runs nobody may be kept waiting.
  bool waits = true;
};

class LocalSocket {
 public:
  // Listens. A socket file on which nobody answers is replaced; where somebody does, and where the
  // file is of another kind, nothing is touched. At no moment does the file grant more than `mode`
  // to anybody but the group's members and its owner. The error says which socket, what, and why.
  static base::Result<std::unique_ptr<LocalSocket>, std::string> bind(const LocalAddress& address);

  // A listening socket made by somebody else, such as systemd. It becomes ours: non-blocking,
  // closed on exec, and closed with this object, while its file stays. `fd` is closed on error too.
  static base::Result<std::unique_ptr<LocalSocket>, std::string> adopt(int fd);

  LocalSocket(const LocalSocket&) = delete;
  LocalSocket& operator=(const LocalSocket&) = delete;
  // Removes the file if it is still the one that was made here.
  ~LocalSocket();

  [[nodiscard]] int fd() const { return fd_.get(); }
  // As it was given, or as the system has it.
  [[nodiscard]] const std::string& name() const { return name_; }
  // Whether clients find it: its file has not been removed or replaced. Of one that somebody else
  // made only that there is one is known.
  [[nodiscard]] bool in_place() const;

 private:
  LocalSocket(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  base::Fd fd_;
  std::string name_;
  // Of the file; nothing when there is none, or when it is not ours to remove.
  std::optional<struct stat> file_;
};

}  // namespace tunnel::io
