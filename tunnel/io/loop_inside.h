// What the files of this folder use of the loop, and nobody else.
#pragma once

#include <span>

#include "tunnel/io/loop.h"

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
  friend class Loop::Inside;
  void unlink();

  // A ring; alone in it when nothing is to be done.
  Task* next_ = this;
  Task* previous_ = this;
};

class Loop::Inside {
 public:
  explicit Inside(State& state) : state_(state) {}

  uv_loop_s* raw();
  Resolver& resolver();
  // No more than one run for each call, however often it is asked for.
  void soon(Task& task);
  // So that the clock is right; callback.h does it in each callback of libuv.
  void touch();
  // Where reads land before they are passed on: one for all streams, so that an idle one holds
  // none.
  std::span<char> read_buffer();
  // Null, unless the turns are measured.
  TurnMeter* meter();
  // So many more descriptors are held, or less.
  void hold(std::ptrdiff_t more);

 private:
  State& state_;
};

}  // namespace tunnel::io
