// What a visitor of the gate does when a time has come.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "tunnel/io/clock.h"

namespace proxy {

// A list of them is all that there is to arm a timer from, and to act on when it fires. What is
// done has to move its own deadline or to remove it.
template <typename Owner>
struct Deadline {
  std::optional<tunnel::io::Milliseconds> when;  // nothing: there is none now
  void (Owner::*passed)() = nullptr;
};

inline std::optional<tunnel::io::Milliseconds> due_if(bool condition,
                                                      tunnel::io::Milliseconds when) {
  return condition ? std::optional(when) : std::nullopt;
}

// Starts the timer for the earliest, or stops it.
template <typename Owner, std::size_t N>
void arm(tunnel::io::Timer& timer, const std::array<Deadline<Owner>, N>& deadlines,
         tunnel::io::Milliseconds now) {
  std::optional<tunnel::io::Milliseconds> first;
  for (const auto& one : deadlines) {
    if (one.when) first = first ? std::min(*first, *one.when) : *one.when;
  }
  if (!first) return timer.stop();
  timer.start(std::max(tunnel::io::Milliseconds(0), *first - now));
}

// Does what is due first; of those that are due at the same time, the first in the list.
template <typename Owner, std::size_t N>
void act(Owner& owner, const std::array<Deadline<Owner>, N>& deadlines,
         tunnel::io::Milliseconds now) {
  const Deadline<Owner>* first = nullptr;
  for (const auto& one : deadlines) {
    if (one.when && *one.when <= now && (first == nullptr || *one.when < *first->when)) {
      first = &one;
    }
  }
  if (first != nullptr) (owner.*first->passed)();
}

}  // namespace proxy
