// Failures that say nothing about what was tried: this host had not enough of something, which it
// will have again.
#pragma once

#include <cerrno>
#include <string>

namespace base {

// Of descriptors or memory, by an errno.
inline bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

struct Problem {
  std::string text;
  bool shortage = false;
};

}  // namespace base
