#include "tunnel/io/acceptor.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/check.h"
#include "tunnel/io/callback.h"

namespace tunnel::io {
namespace {

constexpr Milliseconds kRest{100};
// So that a flood of clients does not keep those that are here waiting; more than
// Listener::kOfTurn, since whoever comes behind a crowd has to be seen before it can be preferred.
constexpr int kAtOnce = 64;

}  // namespace

// libuv's own listening accepts and drops waiting clients when descriptors run out; see
// uv__emfile_trick() in src/unix/stream.c. So it only watches the socket. It closes the watcher in
// its own time, which is why that is not part of the acceptor.
struct Acceptor::Poll {
  uv_poll_t handle{};
  Acceptor* acceptor = nullptr;
  void ready(int, int) const { acceptor->accept_some(); }
};

Acceptor::Acceptor(Loop& loop, int fd, AcceptorOwner& owner)
    : loop_(loop), fd_(fd), owner_(owner), poll_(new Poll), retry_(loop.clock(), [this] {
        poll_or_not();
      }) {
  loop_.inside().hold(2);
  keep();
  poll_->acceptor = this;
  poll_->handle.data = poll_;
  CHECK(uv_poll_init(loop_.inside().raw(), &poll_->handle, fd_) == 0);
  poll_or_not();
}

Acceptor::~Acceptor() {
  loop_.inside().hold(-2);
  poll_->acceptor = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_->handle),
           [](uv_handle_t* handle) { delete static_cast<Poll*>(handle->data); });
}

void Acceptor::pause() {
  paused_ = true;
  poll_or_not();
}

void Acceptor::resume() {
  paused_ = false;
  poll_or_not();
}

void Acceptor::poll_or_not() {
  if (paused_ || retry_.running()) {
    uv_poll_stop(&poll_->handle);
    return;
  }
  CHECK(uv_poll_start(&poll_->handle, UV_READABLE, callback<&Poll::ready>) == 0);
}

void Acceptor::accept_some() {
  const Poll& poll = *poll_;
  for (int i = 0; i < kAtOnce; ++i) {
    if (!accept_one(poll)) return;
  }
}

// Any descriptor would do; this one needs no file.
bool Acceptor::keep() {
  if (!kept_.ok()) kept_.reset(fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  return kept_.ok();
}

int Acceptor::take() {
  keep();
  int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || !kept_.ok()) return fd;
  kept_.reset();
  fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int error = errno;
  keep();
  errno = error;
  return fd;
}

// Says whether to go on.
bool Acceptor::accept_one(const Poll& poll) {
  base::Fd fd(take());
  if (!fd.ok()) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) rest(errno);
    return false;
  }
  said_ = said_ && is_short();
  owner_.on_connection(fd);
  return poll.acceptor != nullptr && !paused_;
}

void Acceptor::rest(int error) {
  retry_.start(kRest);
  poll_or_not();
  if (said_) return;
  said_ = true;
  owner_.on_connection_failed("cannot take a client, and will try again: " +
                              base::system_words(error));
}

}  // namespace tunnel::io
