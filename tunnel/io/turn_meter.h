// How long each turn of the loop takes, for tests: nobody is heard while one lasts.
//
// What counts is the time that the loop itself has taken: the processor's, and what it spent
// waiting inside of a call to the system, but neither waiting for something to happen nor for a
// processor that others have.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "tunnel/io/clock.h"

namespace tunnel::io {

struct LongTurn {
  std::chrono::milliseconds worked{0};  // on the processor
  std::chrono::milliseconds waited{0};  // inside of calls to the system
  std::string longest;                  // what took longest in it
  std::chrono::milliseconds longest_took{0};
};

class TurnMeter final : public Watcher {
 public:
  using Report = std::function<void(const LongTurn&)>;

  // Turns that take longer than `most` are reported, from within the next one.
  TurnMeter(std::chrono::milliseconds most, Report report);
  TurnMeter(const TurnMeter&) = delete;
  TurnMeter& operator=(const TurnMeter&) = delete;
  ~TurnMeter() override = default;

  // Called before the loop waits for something to happen, until the first piece of work begins.
  void next_turn();
  void begin_piece() override;
  void end_piece(std::string_view name) override;

 private:
  using Time = std::chrono::nanoseconds;
  struct Times {
    Time now{0};
    Time worked{0};
    Time queued{0};  // for a processor
  };

  [[nodiscard]] Times times() const;
  [[nodiscard]] Time queued() const;

  const std::chrono::milliseconds most_;
  const Report report_;
  const base::Fd schedule_;
  Times began_;
  std::optional<Time> woke_;
  Time piece_began_{0};
  std::string_view longest_;
  Time longest_took_{0};
  bool running_ = false;
};

}  // namespace tunnel::io
