// The event loop: one thread, one clock. This folder is the only code that calls libuv.
#pragma once

#include <functional>
#include <memory>

#include "tunnel/io/clock.h"

struct uv_loop_s;

namespace tunnel::io {

class Loop {
 public:
  Loop();
  // Everything that was made on the loop must have been closed and destroyed.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Its now() is taken anew each time the loop wakes.
  Clock& clock();

  // Runs until stop() has been called, or nothing is left that could happen.
  void run();
  void stop();

  // Calls `handler` from the loop each time the process gets `signal`. Kept until the loop ends.
  void on_signal(int signal, std::function<void()> handler);

  // For the other files of this folder.
  uv_loop_s* raw();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tunnel::io
