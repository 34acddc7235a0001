// A process that has no descriptors left.
#pragma once

#include <algorithm>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"

namespace test {

// While it lives, no more than `more` can be had; about as many, for there may be gaps.
class Scarcity {
 public:
  explicit Scarcity(unsigned more = 0) {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const int lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    REQUIRE(lowest >= 0);
    close(lowest);
    rlimit low = before_;
    low.rlim_cur = static_cast<rlim_t>(lowest) + more;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  }
  Scarcity(const Scarcity&) = delete;
  Scarcity& operator=(const Scarcity&) = delete;
  ~Scarcity() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace test
