// Whether a client that has agreed to keepalive still answers.
#pragma once

#include <cstdint>
#include <optional>

#include "tunnel/io/clock.h"

namespace proxy {

class Pings {
 public:
  using Milliseconds = tunnel::io::Milliseconds;

  explicit Pings(Milliseconds now) : heard_(now) {}

  void agree(bool agreed) { agreed_ = agreed; }
  [[nodiscard]] bool agreed() const { return agreed_; }

  // The client sent something.
  void heard(Milliseconds now) {
    heard_ = now;
    unanswered_ = 0;
  }
  // The client was not read from until now.
  void was_deaf(Milliseconds now) { heard_ = now; }
  // When the next ping is to be sent.
  [[nodiscard]] Milliseconds next(Milliseconds interval) const {
    return heard_ + interval * (unanswered_ + 1);
  }
  // A ping is being sent. False: `most` have had no answer.
  [[nodiscard]] bool ping(std::uint32_t most) {
    if (unanswered_ >= most) return false;
    ++unanswered_;
    return true;
  }

 private:
  bool agreed_ = false;
  Milliseconds heard_;
  std::uint32_t unanswered_ = 0;
};

}  // namespace proxy
