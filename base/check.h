// CHECK(condition): states what only a bug of ours can break, in release builds too. It prints the
// condition and aborts. Bytes from outside must never be able to reach a
// failing CHECK.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace base {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "virtgate: bug: %s:%d: CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace base

#define CHECK(condition) \
  (static_cast<bool>(condition) ? void() : ::base::check_failed(#condition, __FILE__, __LINE__))
