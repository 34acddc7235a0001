// Random numbers that are the same on every machine and with every library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "tunnel/io/clock.h"

namespace simulate {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // splitmix64
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  std::uint64_t below(std::uint64_t end) {
    CHECK(end > 0);
    return next() % end;
  }
  // Both ends included.
  std::uint32_t between(std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(below(std::uint64_t{high} - low + 1));
  }
  bool per_mille(std::uint32_t chance) { return below(1000) < chance; }
  bool percent(std::uint32_t chance) { return per_mille(10 * chance); }
  tunnel::io::Milliseconds time(std::uint32_t low, std::uint32_t high) {
    return tunnel::io::Milliseconds(between(low, high));
  }
  template <typename Value>
  const Value& pick(const std::vector<Value>& from) {
    return from[below(from.size())];
  }
  // For an actor of its own, whose choices do not change those of others.
  Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace simulate
