// Pools that have ended, until they are closed and can be freed, which is never in a call of
// theirs.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <utility>

#include "tunnel/io/clock.h"

namespace proxy {

template <typename Pool>
class Retired {
 public:
  explicit Retired(tunnel::io::Clock& clock) : free_(clock, [this] { free_some(); }) {}
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;
  // All have closed.
  ~Retired() = default;

  // Closes it. Nobody may use it any more.
  void add(std::unique_ptr<Pool> pool) {
    const auto node = closing_.insert(closing_.end(), std::move(pool));
    (*node)->close([this, node] {
      gone_.splice(gone_.end(), closing_, node);
      free_.start(tunnel::io::Milliseconds(0));
      if (closing_.empty() && empty_) std::exchange(empty_, nullptr)();
    });
  }

  // `empty` is called once all have closed, from the loop or at once. None is added any more.
  void when_empty(std::function<void()> empty) {
    if (closing_.empty()) return empty();
    empty_ = std::move(empty);
  }

 private:
  static constexpr std::size_t kFreedAtOnce = 100;

  void free_some() {
    for (std::size_t i = 0; i < kFreedAtOnce && !gone_.empty(); ++i) gone_.pop_front();
    if (!gone_.empty()) free_.start(tunnel::io::Milliseconds(0));
  }

  std::list<std::unique_ptr<Pool>> closing_;
  std::list<std::unique_ptr<Pool>> gone_;
  tunnel::io::Timer free_;
  std::function<void()> empty_;
};

}  // namespace proxy
