#include "tunnel/io/peer.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"

namespace tunnel::io {

bool Peer::in_group(gid_t group) const {
  return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

std::string program_of(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::array<char, 256> text{};
  ssize_t length = readlink((folder + "/exe").c_str(), text.data(), text.size());
  if (length <= 0) {
    const base::Fd fd(open((folder + "/comm").c_str(), O_RDONLY | O_CLOEXEC));
    length = fd.get() < 0 ? 0 : read(fd.get(), text.data(), text.size());
  }
  std::string program(text.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  while (program.ends_with('\n')) program.pop_back();
  return program;
}

}  // namespace tunnel::io
