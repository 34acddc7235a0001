// Takes clients from a local socket, and knows who each of them is; or from a port, and does not.
#pragma once

#include <memory>
#include <string>

#include "tunnel/io/acceptor.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"
#include "tunnel/io/tcp_socket.h"

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

class Listener final : private AcceptorOwner {
 public:
  // Begins at once. The loop and the owner outlive it. Destroying it is how it ends: nobody else is
  // taken, those who wait are refused by the system, and the streams it gave live on.
  Listener(Loop& loop, std::unique_ptr<LocalSocket> socket, ListenerOwner& owner);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() override = default;

  // While paused, clients wait in the system's queue.
  void pause() { acceptor_.pause(); }
  void resume() { acceptor_.resume(); }

  [[nodiscard]] const LocalSocket& socket() const { return *socket_; }

 private:
  void on_connection(base::Fd& fd) override;
  void on_connection_failed(const std::string& text) override { owner_.on_accept_failed(text); }

  Loop& loop_;
  std::unique_ptr<LocalSocket> socket_;
  ListenerOwner& owner_;
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
