// Takes connections from a listening socket of any family.
#pragma once

#include <string>

#include "base/fd.h"
#include "tunnel/io/clock.h"

namespace tunnel::io {

class Loop;

// The acceptor may be destroyed in either call.
class AcceptorOwner {
 public:
  virtual ~AcceptorOwner() = default;
  // Non-blocking, and closed on exec. The connection is closed after the call unless the owner has
  // released it.
  virtual void on_connection(base::Fd& fd) = 0;
  // A connection could not be taken. When that is for want of descriptors or memory, those that
  // wait are left waiting and the acceptor tries again a little later; this is said once until one
  // could be taken again. Before that, one is taken with a descriptor that is kept for it:
  // is_short().
  virtual void on_connection_failed(const std::string& text) = 0;
};

class Acceptor {
 public:
  // Begins at once. The loop, the owner and the socket outlive it. Destroying it is how it ends.
  Acceptor(Loop& loop, int fd, AcceptorOwner& owner);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();

  // While paused, connections wait in the system's queue.
  void pause();
  void resume();

  // No other connection can be taken before a descriptor is given back: whoever is here can only be
  // told so.
  [[nodiscard]] bool is_short() { return !keep(); }

 private:
  struct Poll;
  bool keep();
  int take();
  void poll_or_not();
  void accept_some();
  bool accept_one(const Poll& poll);
  void rest(int error);

  Loop& loop_;
  const int fd_;
  AcceptorOwner& owner_;
  base::Fd kept_{-1};
  Poll* poll_;
  Timer retry_;
  bool paused_ = false;
  bool said_ = false;
};

}  // namespace tunnel::io
