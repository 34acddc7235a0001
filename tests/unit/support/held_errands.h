// Work beside the loop that is done when the test says so, and until then is stuck.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "tunnel/io/errands.h"

namespace test {

class HeldErrands {
 public:
  // This outlives it.
  tunnel::io::RunErrand runner() {
    return [this](tunnel::io::ErrandWork work, std::function<void(int)> done) {
      auto errand = std::make_shared<tunnel::io::Errand>(done);
      held_.push_back({errand, std::move(work), std::move(done)});
      return errand;
    };
  }

  // Somebody waits for one.
  [[nodiscard]] bool waited_for() const { return !held_.empty() && !held_.back().errand.expired(); }
  [[nodiscard]] std::size_t count() const { return held_.size(); }

  // Ends all, also those that nobody waits for any more, as a thread does. With an error: without
  // having worked.
  void let(int error = 0) {
    for (Held& one : std::exchange(held_, {})) {
      tunnel::io::Whereabouts whereabouts;
      if (error == 0) one.work(whereabouts);
      if (const auto errand = one.errand.lock()) one.done(error);
    }
  }

 private:
  struct Held {
    std::weak_ptr<tunnel::io::Errand> errand;
    tunnel::io::ErrandWork work;
    std::function<void(int)> done;
  };
  std::vector<Held> held_;
};

}  // namespace test
