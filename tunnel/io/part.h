// What is done of something long in one turn of the loop; the rest is left to the turns that
// follow, between which everybody else is heard.
#pragma once

#include <cstddef>

#include "tunnel/io/clock.h"

namespace tunnel::io {

class Part {
 public:
  // So many steps, and so much time for them. The clock outlives it.
  Part(const Clock& clock, std::size_t steps, Microseconds time)
      : clock_(clock), time_(time), began_(clock.worked()), left_(steps) {}

  // There may be one more step.
  bool goes_on() {
    if (left_ == 0 || clock_.worked() - began_ >= time_) return false;
    --left_;
    return true;
  }

 private:
  const Clock& clock_;
  const Microseconds time_;
  const Microseconds began_;
  std::size_t left_;
};

}  // namespace tunnel::io
