// How long a kind of call usually takes on a target: a running estimate of what nine in ten stay
// below. One that hangs moves it no further than one that is a little late, so that a stuck machine
// does not make everybody else's patience longer; several in a row do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tunnel/io/clock.h"

namespace proxy {

class Estimate {
 public:
  using Milliseconds = tunnel::io::Milliseconds;

  void add(Milliseconds took) {
    const std::int64_t sample = took.count() * kUnit;
    if (!known_) {
      known_ = true;
      usual_ = sample;
    } else if (sample > usual_) {
      usual_ = std::min(sample, usual_ + std::max(kUnit, usual_ >> std::max(0, 3 - late_)));
      ++late_;
    } else {
      usual_ -= usual_ >> 6;
      late_ = 0;
    }
  }
  [[nodiscard]] Milliseconds usual() const { return Milliseconds(usual_ / kUnit); }

 private:
  static constexpr std::int64_t kUnit = 64;

  bool known_ = false;
  int late_ = 0;  // how many of the latest took longer
  std::int64_t usual_ = 0;
};

// How long a kind of reply may well be on a target: as the longest of the latest. One that is long
// is forgotten slowly, since many calls of the kind can be on their way by then. Before the first
// one it is a guess at what is long, so that few calls go until it has come.
class ReplySize {
 public:
  void add(std::uint64_t bytes) {
    usual_ =
        !std::exchange(known_, true) || bytes >= usual_ ? bytes : usual_ - (usual_ - bytes) / 64;
  }
  [[nodiscard]] std::uint64_t usual() const { return usual_; }

 private:
  static constexpr std::uint64_t kUnknown = 4U << 20;

  bool known_ = false;
  std::uint64_t usual_ = kUnknown;
};

}  // namespace proxy
