// Time as the engines see it: milliseconds that only grow, and timers that fire when somebody turns
// the clock. The loop turns it with real time; a test turns it by hand. Nothing here waits, and
// nothing here calls libuv.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace tunnel::io {

using Microseconds = std::chrono::microseconds;
using Milliseconds = std::chrono::milliseconds;

class Timer;

// Told of each piece of work that begins and ends. `name`: of the function that does it, or of its
// type, and as lasting as a literal.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void begin_piece() = 0;
  virtual void end_piece(std::string_view name) = 0;
};

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  ~Clock();  // every timer must be gone or stopped

  // Since an arbitrary start.
  [[nodiscard]] Milliseconds now() const { return now_; }

  // What also passes while somebody works, since an arbitrary start. It stands still where nobody
  // has said what to read it from, and so whoever turns the clock by hand meets no surprise.
  [[nodiscard]] Microseconds worked() const { return stopwatch_ ? stopwatch_() : Microseconds(0); }
  void read_work_from(std::function<Microseconds()> stopwatch) {
    stopwatch_ = std::move(stopwatch);
  }

  // When the next timer is due; nothing when none runs. It can lie in the past.
  [[nodiscard]] std::optional<Milliseconds> next() const;

  // Moves time forward to `to` (never back) and fires each timer that is due by then, in the order
  // in which they are due. Timers that are started meanwhile wait for the next call, so that a
  // timer that restarts itself cannot keep the caller here.
  void advance(Milliseconds to);

  // Moves time forward to `to` (never back) and fires nothing: what is due by then waits for
  // advance().
  void set(Milliseconds to) { now_ = to > now_ ? to : now_; }

  // Each timer that fires is a piece of work. The watcher outlives the clock.
  void watch(Watcher& watcher) { watcher_ = &watcher; }

 private:
  friend class Timer;
  using Entry = std::pair<std::pair<Milliseconds, std::uint64_t>, Timer*>;

  Milliseconds now_{0};
  std::uint64_t sequence_ = 0;
  std::set<Entry> running_;
  Watcher* watcher_ = nullptr;
  std::function<Microseconds()> stopwatch_;
};

// Calls `fire` once, a while after start(). Destroying or stopping it means that it does not fire.
// `fire` may start it again, and may destroy it. The clock outlives its timers.
class Timer {
 public:
  Timer(Clock& clock, std::function<void()> fire) : clock_(clock), fire_(std::move(fire)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { stop(); }

  // From now on; 0 means with the next turn of the clock. Starting a timer that runs moves it.
  void start(Milliseconds delay);
  void stop();
  [[nodiscard]] bool running() const { return running_; }

 private:
  friend class Clock;

  Clock& clock_;
  std::function<void()> fire_;
  std::pair<Milliseconds, std::uint64_t> due_{};
  bool running_ = false;
};

}  // namespace tunnel::io
