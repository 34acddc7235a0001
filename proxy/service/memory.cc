#include "proxy/service/memory.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "conf/text.h"

namespace proxy {
namespace {

constexpr std::uint64_t kLeastBuffer = 64U << 20;
constexpr std::uint64_t kMostBuffer = std::uint64_t{4} << 30;
constexpr const char* kRoot = "/sys/fs/cgroup";

// Files of the kernel's file systems have no size.
std::string kernel_text(const std::string& path) {
  const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string out;
  std::array<char, 4096> piece{};
  while (fd.get() >= 0 && out.size() < 64 * piece.size()) {
    const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
    if (got <= 0) break;
    out.append(piece.data(), static_cast<std::size_t>(got));
  }
  return out;
}

// "max", and what is no number, limit nothing.
void lower(std::optional<std::uint64_t>& least, const std::string& path) {
  std::string text = kernel_text(path);
  while (text.ends_with('\n')) text.pop_back();
  const auto bytes = conf::decimal(text, INT64_MAX);
  if (bytes && *bytes > 0 && (!least || *bytes < *least)) least = bytes;
}

std::string_view next_part(std::string_view& of, char end) {
  const std::size_t length = std::min(of.find(end), of.size());
  const std::string_view part = of.substr(0, length);
  of.remove_prefix(std::min(length + 1, of.size()));
  return part;
}

bool names_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    if (next_part(controllers, ',') == "memory") return true;
  }
  return false;
}

}  // namespace

// See cgroups(7): "0::/system.slice/virtgate.service", "9:memory:/system.slice/virtgate.service".
std::optional<std::uint64_t> cgroup_memory(const std::string& cgroups, const std::string& root) {
  std::optional<std::uint64_t> least;
  std::string_view lines = cgroups;
  while (!lines.empty()) {
    std::string_view line = next_part(lines, '\n');
    next_part(line, ':');
    const std::string_view controllers = next_part(line, ':');
    const bool second = controllers.empty();
    if (!second && !names_memory(controllers)) continue;
    std::string folder = second ? root : root + "/memory";
    const std::size_t top = folder.size();
    if (line != "/") folder += line;
    for (;;) {
      if (second) {
        lower(least, folder + "/memory.max");
        lower(least, folder + "/memory.high");
      } else {
        lower(least, folder + "/memory.limit_in_bytes");
      }
      const std::size_t slash = folder.rfind('/');
      if (folder.size() <= top || slash < top) break;
      folder.resize(slash);
    }
  }
  return least;
}

std::uint64_t buffer_for(std::uint64_t machine, std::optional<std::uint64_t> cgroup) {
  const std::uint64_t part = std::min(machine / 4, cgroup.value_or(machine) / 2);
  const std::uint64_t in_bounds = std::clamp(part, kLeastBuffer, kMostBuffer);
  return in_bounds - in_bounds % (std::uint64_t{1} << 20);
}

std::uint64_t usual_buffer() {
  static const std::uint64_t buffer = [] {
    const auto pages = ::sysconf(_SC_PHYS_PAGES);
    const auto size = ::sysconf(_SC_PAGESIZE);
    const std::uint64_t machine =
        pages > 0 && size > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)
                              : 0;
    return buffer_for(machine, cgroup_memory(kernel_text("/proc/self/cgroup"), kRoot));
  }();
  return buffer;
}

}  // namespace proxy
