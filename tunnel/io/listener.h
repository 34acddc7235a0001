// Takes clients from a local socket, and knows who each of them is; or from a port, and does not.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "tunnel/io/acceptor.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/io/newcomers.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"
#include "tunnel/io/tcp_socket.h"

namespace tunnel::io {

class Loop;

// The listener may be destroyed in on_accept() and on_accept_failed().
class ListenerOwner {
 public:
  static constexpr std::size_t kMostOfUser = 64;

  virtual ~ListenerOwner() = default;
  // Asked for each newcomer on a local socket, so it must cost next to nothing.
  [[nodiscard]] virtual Standing standing(uid_t uid) const { return {uid, kMostOfUser}; }
  // One who said nothing and went again, or who was one too many to wait: it was ended before
  // anything was made of it.
  virtual void on_left(uid_t user) { static_cast<void>(user); }
  virtual void on_turned_away(uid_t user) { static_cast<void>(user); }
  // `stream` is at rest until it is opened; destroyed unopened, it ends the client.
  virtual void on_accept(std::unique_ptr<Stream> stream, const Peer& peer) = 0;
  // A client could not be taken. When that is for want of descriptors or memory, the clients that
  // wait are left waiting and the listener tries again a little later; this is said once until a
  // client could be taken again.
  virtual void on_accept_failed(const std::string& text) = 0;
};

// Those who come are taken from the system cheaply, and wait by user (see newcomers.h) until a turn
// of the loop has time for them: what a client costs is spent on so many of them a turn, whoever
// knocks how often.
class Listener final : private AcceptorOwner {
 public:
  // Taken in a turn of the loop.
  static constexpr std::size_t kOfTurn = 8;
  // As many as the system lets wait; see listen(2), SOMAXCONN.
  static constexpr std::size_t kMostWaiting = 4096;

  // Begins at once. The loop and the owner outlive it. Destroying it is how it ends: nobody else is
  // taken, those who wait are ended unless take_all() came before, and the streams it gave live on.
  Listener(Loop& loop, std::unique_ptr<LocalSocket> socket, ListenerOwner& owner);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() override;

  // While paused, nobody is taken.
  void pause();
  void resume();

  // Gives those who wait to the owner at once, for a listener that is about to go: the system would
  // have kept them for the next one, which will not see them.
  void take_all() { take_some(newcomers_.size()); }

  // Whoever is taken now can only be told that there are no descriptors; see Acceptor.
  [[nodiscard]] bool is_short() { return acceptor_.is_short(); }

  [[nodiscard]] const LocalSocket& socket() const { return *socket_; }

 private:
  void on_connection(base::Fd& fd) override;
  void on_connection_failed(const std::string& text) override { owner_.on_accept_failed(text); }
  void take_some(std::size_t most);
  void take(base::Fd& fd);
  void count();

  Loop& loop_;
  std::unique_ptr<LocalSocket> socket_;
  ListenerOwner& owner_;
  Newcomers<std::unique_ptr<base::Fd>> newcomers_{kMostWaiting};
  Timer next_turn_;
  std::size_t counted_ = 0;  // of the newcomers, as descriptors of the loop
  bool paused_ = false;
  bool* gone_ = nullptr;  // set while take_some() runs
  Acceptor acceptor_;
};

// The same with a port. The peer of each client is the one of a Peer that says nothing.
class TcpListener final : private AcceptorOwner {
 public:
  TcpListener(Loop& loop, std::unique_ptr<TcpSocket> socket, ListenerOwner& owner);
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  ~TcpListener() override = default;

 private:
  void on_connection(base::Fd& fd) override;
  void on_connection_failed(const std::string& text) override { owner_.on_accept_failed(text); }

  Loop& loop_;
  std::unique_ptr<TcpSocket> socket_;
  ListenerOwner& owner_;
  Acceptor acceptor_;
};

}  // namespace tunnel::io
