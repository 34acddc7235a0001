#include "tunnel/io/listener.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "base/result.h"
#include "tunnel/io/connect.h"

namespace tunnel::io {
namespace {

base::Result<Peer, int> peer_of(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return base::Failure{errno};
  }
  Peer peer{credentials.uid, credentials.gid, credentials.pid, std::vector<gid_t>(32), {}};
  for (;;) {
    length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
    const int status = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length);
    if (status != 0 && errno != ERANGE) return base::Failure{errno};
    peer.groups.resize(length / sizeof(gid_t));
    if (status != 0) continue;
    peer.program = program_of(peer.pid);
    return peer;
  }
}

}  // namespace

Listener::Listener(Loop& loop, std::unique_ptr<LocalSocket> socket, ListenerOwner& owner)
    : loop_(loop),
      socket_(std::move(socket)),
      owner_(owner),
      acceptor_(loop, socket_->fd(), static_cast<AcceptorOwner&>(*this)) {}

void Listener::on_connection(base::Fd& fd) {
  const auto peer = peer_of(fd.get());
  if (peer) {
    owner_.on_accept(adopt_fd(loop_, fd.release()), *peer);
  } else {
    owner_.on_accept_failed("cannot tell who a client is: " + base::system_words(peer.error()));
  }
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
