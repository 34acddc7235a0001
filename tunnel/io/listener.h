// Takes clients from a local socket, and knows who each of them is.
#pragma once

#include <memory>
#include <string>

#include "tunnel/io/clock.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

class Loop;

// The listener may be destroyed in either call.
class ListenerOwner {
 public:
  virtual ~ListenerOwner() = default;
  // `stream` is at rest until it is opened; destroyed unopened, it ends the client.
  virtual void on_accept(std::unique_ptr<Stream> stream, const Peer& peer) = 0;
  // A client could not be taken. When that is for want of descriptors or memory, the clients that
  // wait are left waiting and the listener tries again a little later; this is said once until a
  // client could be taken again.
  virtual void on_accept_failed(const std::string& text) = 0;
};

class Listener {
 public:
  // Begins at once. The loop and the owner outlive it. Destroying it is how it ends: nobody else is
  // taken, those who wait are refused by the system, and the streams it gave live on.
  Listener(Loop& loop, std::unique_ptr<LocalSocket> socket, ListenerOwner& owner);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  // While paused, clients wait in the system's queue.
  void pause();
  void resume();

  [[nodiscard]] const LocalSocket& socket() const { return *socket_; }

 private:
  struct Poll;
  void poll_or_not();
  void accept_some();
  bool accept_one(const Poll& poll);
  void rest(int error);

  Loop& loop_;
  std::unique_ptr<LocalSocket> socket_;
  ListenerOwner& owner_;
  Poll* poll_;
  Timer retry_;
  bool paused_ = false;
  bool said_ = false;
};

}  // namespace tunnel::io
