#include "tunnel/io/listener.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <uv.h>

#include "base/check.h"
#include "base/result.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/loop.h"

namespace tunnel::io {
namespace {

constexpr Milliseconds kRest{100};
// So that a flood of clients does not keep those that are here waiting.
constexpr int kAtOnce = 32;

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

// libuv's own listening accepts and drops whoever waits when descriptors run out; see
// uv__emfile_trick() in src/unix/stream.c. So it only watches the socket. It closes the watcher in
// its own time, which is why that is not part of the listener.
struct Listener::Poll {
  uv_poll_t handle{};
  Listener* listener = nullptr;
};

Listener::Listener(Loop& loop, std::unique_ptr<LocalSocket> socket, ListenerOwner& owner)
    : loop_(loop),
      socket_(std::move(socket)),
      owner_(owner),
      poll_(new Poll),
      retry_(loop.clock(), [this] { poll_or_not(); }) {
  poll_->listener = this;
  poll_->handle.data = poll_;
  CHECK(uv_poll_init(loop_.raw(), &poll_->handle, socket_->fd()) == 0);
  poll_or_not();
}

Listener::~Listener() {
  poll_->listener = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_->handle),
           [](uv_handle_t* handle) { delete static_cast<Poll*>(handle->data); });
}

void Listener::pause() {
  paused_ = true;
  poll_or_not();
}

void Listener::resume() {
  paused_ = false;
  poll_or_not();
}

void Listener::poll_or_not() {
  if (paused_ || retry_.running()) {
    uv_poll_stop(&poll_->handle);
    return;
  }
  const auto ready = [](uv_poll_t* handle, int, int) {
    Listener* listener = static_cast<Poll*>(handle->data)->listener;
    listener->loop_.touch();
    listener->accept_some();
  };
  CHECK(uv_poll_start(&poll_->handle, UV_READABLE, ready) == 0);
}

void Listener::accept_some() {
  const Poll& poll = *poll_;
  for (int i = 0; i < kAtOnce; ++i) {
    if (!accept_one(poll)) return;
  }
}

// Says whether to go on.
bool Listener::accept_one(const Poll& poll) {
  base::Fd fd(accept4(socket_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.ok()) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) rest(errno);
    return false;
  }
  said_ = false;
  const auto peer = peer_of(fd.get());
  if (peer) {
    owner_.on_accept(adopt_fd(loop_, fd.release()), *peer);
  } else {
    owner_.on_accept_failed("cannot tell who a client is: " + base::system_words(peer.error()));
  }
  return poll.listener != nullptr && !paused_;
}

void Listener::rest(int error) {
  retry_.start(kRest);
  poll_or_not();
  if (said_) return;
  said_ = true;
  owner_.on_accept_failed("cannot take a client, and will try again: " + base::system_words(error));
}

}  // namespace tunnel::io
