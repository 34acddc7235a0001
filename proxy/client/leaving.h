// How far a client is on its way out, and until when it may take.
//
// There is one way: it may be asked to leave when convenient (drain), or be turned away at its next
// call; it begins to leave, and no more calls are taken; its calls are answered, and its output is
// ended; it is cut off, if it has not gone by itself.
#pragma once

#include <optional>
#include <utility>

#include "policy/error.h"
#include "tunnel/io/clock.h"

namespace proxy {

class Leaving {
 public:
  using Milliseconds = tunnel::io::Milliseconds;

  // How long the other side is given to go by itself.
  static constexpr Milliseconds kGoodbye{3000};

  // Every call is refused with `why`, whose text is not empty, and the first one makes it leave.
  void turn_away(policy::Fault why, Milliseconds now) {
    turned_away_ = std::move(why);
    by_ = now + kGoodbye;
  }
  [[nodiscard]] const policy::Fault& turned_away() const { return turned_away_; }

  // It has to leave soon; whether that is convenient is looked at again and again.
  void drain(Milliseconds now) { look_at_ = now; }
  void look_again(Milliseconds now) { look_at_ = now + kLookAgain; }
  [[nodiscard]] std::optional<Milliseconds> look_at() const { return look_at_; }

  // No more calls are taken. What is under way is answered within `patience`.
  void begin(Milliseconds now, Milliseconds patience) {
    look_at_.reset();
    by_ = now + patience;
  }
  // All is answered. What was written is read within `patience`.
  void end_output(Milliseconds now, Milliseconds patience) {
    ended_output_ = true;
    by_ = now + patience;
  }
  [[nodiscard]] bool ended_output() const { return ended_output_; }
  // The connection is being closed.
  void cut() {
    cut_ = true;
    look_at_.reset();
    by_.reset();
  }
  [[nodiscard]] bool is_cut() const { return cut_; }

  // When patience is over.
  [[nodiscard]] std::optional<Milliseconds> by() const { return by_; }

 private:
  static constexpr Milliseconds kLookAgain{50};

  policy::Fault turned_away_;
  std::optional<Milliseconds> look_at_;
  std::optional<Milliseconds> by_;
  bool ended_output_ = false;
  bool cut_ = false;
};

}  // namespace proxy
