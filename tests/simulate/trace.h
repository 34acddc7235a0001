// What happened, a line each: the end of it is kept for people, the hash of all of it says whether
// two runs were the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "tunnel/io/clock.h"

namespace simulate {

class Trace {
 public:
  static constexpr std::size_t kKept = 80;

  // `shown`: lines are printed as they come.
  Trace(const tunnel::io::Clock& clock, bool shown) : clock_(clock), shown_(shown) {}

  void line(const std::string& text);
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }
  [[nodiscard]] const std::deque<std::string>& last() const { return last_; }

 private:
  const tunnel::io::Clock& clock_;
  const bool shown_;
  std::uint64_t hash_ = 0xcbf29ce484222325U;
  std::uint64_t lines_ = 0;
  std::deque<std::string> last_;
};

// FNV-1a, going on from `hash`.
template <typename Bytes>
std::uint64_t fnv(const Bytes& bytes, std::uint64_t hash = 0xcbf29ce484222325U) {
  for (const auto byte : bytes) {
    hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3U;
  }
  return hash;
}

}  // namespace simulate
