// The event loop: one thread, one clock. This folder is the only code that calls libuv.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "tunnel/io/clock.h"
#include "tunnel/io/resolver.h"

struct uv_loop_s;

namespace tunnel::io {

// Something that an object of this folder does once, from the loop, before the loop next waits for
// the system. Destroying it takes it off the list. This is how a stream speaks to its owner outside
// of the owner's calls, and how all that is written in one turn leaves as one.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() { unlink(); }
  virtual void run_soon() = 0;

 private:
  friend class Loop;
  void unlink();

  // A ring; alone in it when nothing is to be done.
  Task* next_ = this;
  Task* previous_ = this;
};

class Loop {
 public:
  // The process must ignore SIGPIPE, or the first write to a peer that has gone ends it. `resolve`
  // is asked for the addresses of hosts.
  explicit Loop(Resolve resolve = resolve_by_system);
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

  // For the other files of this folder.
  uv_loop_s* raw();
  Resolver& resolver();
  // No more than one run for each call, however often it is asked for.
  void soon(Task& task);
  // Each callback of libuv begins with this, so that the clock is right in it.
  void touch();
  // Where reads land before they are passed on: one for all streams, so that an idle one holds
  // none.
  std::span<char> read_buffer();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tunnel::io
