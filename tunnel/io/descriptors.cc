#include "tunnel/io/descriptors.h"

#include <limits>
#include <memory>

#include <dirent.h>
#include <sys/resource.h>

namespace tunnel::io {
namespace {

std::size_t as_size(rlim_t limit) {
  constexpr std::size_t kMost = std::numeric_limits<int>::max();
  return limit > kMost ? kMost : static_cast<std::size_t>(limit);
}

}  // namespace

std::size_t descriptor_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? as_size(limit.rlim_cur) : 0;
}

std::size_t most_descriptors() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? as_size(limit.rlim_max) : 0;
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit wanted = limit;
  wanted.rlim_cur = limit.rlim_max;
  return as_size(setrlimit(RLIMIT_NOFILE, &wanted) == 0 ? wanted.rlim_cur : limit.rlim_cur);
}

std::size_t descriptors_in_use() {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(opendir("/proc/self/fd"), closedir);
  if (all == nullptr) return 0;
  std::size_t count = 0;
  while (const dirent* entry = readdir(all.get())) {
    if (entry->d_name[0] != '.') ++count;
  }
  return count == 0 ? 0 : count - 1;
}

bool is_kept(int fd) {
  const std::size_t limit = descriptor_limit();
  return static_cast<std::size_t>(fd) >= limit - kept(kKeptFromDials, limit);
}

}  // namespace tunnel::io
