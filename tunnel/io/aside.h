// Work that may take long, and that nothing can interrupt, beside the loop: in a thread of its own,
// of which nobody waits for the end.
#pragma once

#include <functional>
#include <memory>

struct uv_async_s;

namespace tunnel::io {

class Loop;

// Runs `work` in a new thread without signals, which ends by itself. Returns an errno.
int start_thread(std::function<void()> work);

class Aside {
 public:
  // The loop outlives it.
  explicit Aside(Loop& loop);
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  // What still works goes on, and is not heard of.
  ~Aside();

  // Runs `work` in a thread, and then `done` from the loop. Both are destroyed in either: what they
  // share must not mind. Returns an errno; where there is no thread to be had, `done` comes without
  // `work`.
  int run(std::function<void()> work, std::function<void()> done);

  // Calls `done` from the loop, and not at once.
  void defer(std::function<void()> done);

 private:
  struct Mailbox;

  void empty_mailbox();

  std::shared_ptr<Mailbox> mailbox_;
  uv_async_s* bell_;  // rung when something is in the mailbox
};

}  // namespace tunnel::io
