#include "tunnel/io/listener.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "base/result.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/loop.h"
#include "tunnel/io/loop_inside.h"

namespace tunnel::io {
namespace {

base::Result<ucred, int> credentials_of(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return base::Failure{errno};
  }
  return credentials;
}

base::Result<Peer, int> peer_of(int fd) {
  const auto credentials = credentials_of(fd);
  if (!credentials) return base::Failure{credentials.error()};
  Peer peer;
  peer.uid = credentials->uid;
  peer.gid = credentials->gid;
  peer.pid = credentials->pid;
  peer.groups.resize(32);
  for (;;) {
    auto length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
    const int status = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length);
    if (status != 0 && errno != ERANGE) return base::Failure{errno};
    peer.groups.resize(length / sizeof(gid_t));
    if (status != 0) continue;
    peer.program = program_of(peer.pid);
    return peer;
  }
}

// It has said nothing, and will not.
bool has_left(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

std::string cannot_tell(int error) {
  return "cannot tell who a client is: " + base::system_words(error);
}

}  // namespace

Listener::Listener(Loop& loop, std::unique_ptr<LocalSocket> socket, ListenerOwner& owner)
    : loop_(loop),
      socket_(std::move(socket)),
      owner_(owner),
      next_turn_(loop.clock(), [this] { take_some(kOfTurn); }),
      acceptor_(loop, socket_->fd(), static_cast<AcceptorOwner&>(*this)) {}

Listener::~Listener() {
  loop_.inside().hold(-static_cast<std::ptrdiff_t>(counted_));
  if (gone_ != nullptr) *gone_ = true;
}

void Listener::pause() {
  paused_ = true;
  next_turn_.stop();
  acceptor_.pause();
}

void Listener::resume() {
  paused_ = false;
  if (newcomers_.size() > 0) next_turn_.start(Milliseconds(0));
  acceptor_.resume();
}

// This is done for whoever knocks, so it asks the system for as little as can be.
void Listener::on_connection(base::Fd& fd) {
  const auto credentials = credentials_of(fd.get());
  if (!credentials) return owner_.on_accept_failed(cannot_tell(credentials.error()));
  const Standing standing = owner_.standing(credentials->uid);
  if (has_left(fd.get())) return owner_.on_left(standing.user);
  const auto out = newcomers_.add(standing.user, std::make_unique<base::Fd>(fd.release()),
                                  standing.most_waiting);
  count();
  if (out) owner_.on_turned_away(out->first);
  if (newcomers_.size() > 0 && !next_turn_.running()) next_turn_.start(Milliseconds(0));
}

void Listener::take_some(std::size_t most) {
  bool gone = false;
  gone_ = &gone;
  for (; most > 0 && !paused_; --most) {
    const auto fd = newcomers_.next();
    if (!fd) break;
    count();
    take(**fd);
    if (gone) return;
  }
  gone_ = nullptr;
  if (newcomers_.size() > 0 && !paused_) next_turn_.start(Milliseconds(0));
}

void Listener::count() {
  const std::size_t size = newcomers_.size();
  loop_.inside().hold(static_cast<std::ptrdiff_t>(size) - static_cast<std::ptrdiff_t>(counted_));
  counted_ = size;
}

void Listener::take(base::Fd& fd) {
  const auto peer = peer_of(fd.get());
  if (!peer) return owner_.on_accept_failed(cannot_tell(peer.error()));
  if (has_left(fd.get())) return owner_.on_left(owner_.standing(peer->uid).user);
  owner_.on_accept(adopt_fd(loop_, fd.release()), *peer);
}

TcpListener::TcpListener(Loop& loop, std::unique_ptr<TcpSocket> socket, ListenerOwner& owner)
    : loop_(loop),
      socket_(std::move(socket)),
      owner_(owner),
      acceptor_(loop, socket_->fd(), static_cast<AcceptorOwner&>(*this)) {}

void TcpListener::on_connection(base::Fd& fd) {
  owner_.on_accept(adopt_fd(loop_, fd.release()), {});
}

}  // namespace tunnel::io
