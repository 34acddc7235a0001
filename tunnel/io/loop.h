// The event loop: one thread, one clock. This folder is the only code that calls libuv.
#pragma once

#include <functional>
#include <memory>

#include "tunnel/io/clock.h"
#include "tunnel/io/resolver.h"
#include "tunnel/io/turn_meter.h"

namespace tunnel::io {

class Errands;

class Loop {
 public:
  // The process must ignore SIGPIPE, or the first write to a peer that has gone ends it. `resolve`
  // is asked for the addresses of hosts, and `at_once`, in the loop, for those of hosts that
  // would have to wait.
  explicit Loop(Resolve resolve = resolve_by_system, Resolve at_once = resolve_by_hosts_file);
  // Everything that was made on the loop must have been closed and destroyed.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Its now() is taken anew each time the loop wakes.
  Clock& clock();

  // Runs until stop() has been called, or nothing is left that could happen (a signal does not
  // count). It may be called again.
  void run();
  void stop();

  // Calls `handler` from the loop each time the process gets `signal`. Kept until the loop ends.
  void on_signal(int signal, std::function<void()> handler);

  // From now on each turn that takes longer than `most` is reported, in the loop. For tests: it
  // costs a few system calls a turn.
  void measure(Milliseconds most, TurnMeter::Report report);

  // What waits for disks, and nobody for it.
  Errands& errands();

  // How many descriptors its streams and listeners have, with those who wait there.
  [[nodiscard]] std::size_t descriptors() const;

  // What the other files of this folder use: loop_inside.h.
  class Inside;
  Inside& inside();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tunnel::io
