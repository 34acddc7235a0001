#include "tunnel/io/socket_stream.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "tunnel/io/callback.h"

namespace tunnel::io {
namespace {

// Of a place that the owner gives: less is not worth a read of its own, and more would keep others
// waiting.
constexpr std::size_t kLeastRoom = std::size_t{16} * 1024;
constexpr std::size_t kMostAtOnce = std::size_t{256} * 1024;

}  // namespace

struct SocketStream::Sending {
  uv_write_t request{};
  Outgoing data;
};

SocketStream::SocketStream(Loop& loop, int fd) : loop_(loop), fd_(fd) { loop.inside().hold(1); }

SocketStream::SocketStream(Loop& loop, std::unique_ptr<Dialer> dialer)
    : loop_(loop), dialer_(std::move(dialer)) {
  loop.inside().hold(1);
}

SocketStream::~SocketStream() {
  loop_.inside().hold(-1);
  if (fd_ >= 0) ::close(fd_);
}

void SocketStream::open(StreamOwner& owner) {
  state_.open(owner);
  loop_.inside().soon(*this);
}

void SocketStream::write(base::Bytes data) {
  if (!takes(data)) return;
  pending_.add(data);
  wrote();
}

void SocketStream::write_kept(base::Bytes data, const base::Keeper& keeper) {
  if (!takes(data)) return;
  pending_.add(data, keeper);
  wrote();
}

bool SocketStream::takes(base::Bytes data) const {
  return !state_.closing() && !ending_ && broken_ == 0 && !data.empty();
}

void SocketStream::wrote() {
  state_.wrote(queued());
  if (ready_ && sending_ == nullptr) loop_.inside().soon(*this);
}

std::size_t SocketStream::queued() const {
  return pending_.held() + (sending_ ? sending_->data.held() : 0);
}

void SocketStream::end() {
  if (state_.closing() || ending_) return;
  ending_ = true;
  if (ready_) loop_.inside().soon(*this);
}

void SocketStream::pause(unsigned reasons) {
  state_.pause(reasons);
  read_or_not();
}

void SocketStream::resume(unsigned reasons) {
  state_.resume(reasons);
  read_or_not();
}

void SocketStream::close(Reason reason) {
  if (!state_.close(std::move(reason))) return;
  if (!ready_) {
    // A dialer may be on the stack here: it goes in finish().
    if (state_.opened()) loop_.inside().soon(*this);
    return;
  }
  if (state_.reason().kind == Reason::Kind::requested && sending_ == nullptr) send_now();
  uv_close(&handle_.base, callback<&SocketStream::finish>);
}

void SocketStream::run_soon() {
  if (state_.closing()) {
    if (!ready_) finish();
    return;
  }
  if (!started_) {
    started_ = true;
    if (dialer_ != nullptr) return dialer_->start(*this);
    start();
    return;
  }
  if (has_read_) {
    has_read_ = false;
    read_or_not();
    if (state_.closing()) return;
  }
  if (last_reads_) {
    last_reads_ = false;
    loop_.inside().soon(*this);
  } else if (broken_ != 0) {
    fail(Stage::established, broken_);
  } else {
    flush();
  }
}

void SocketStream::on_dial_stage(Stage stage) {
  if (!state_.closing()) state_.owner().on_stage(stage);
}

void SocketStream::on_dialed(int fd) {
  fd_ = fd;
  if (state_.closing()) return;
  dialer_.reset();
  start();
}

void SocketStream::on_dial_failed(Reason reason) { close(std::move(reason)); }

void SocketStream::start() {
  const int status = take_fd();
  if (status != 0) return fail(Stage::connect, status);
  ready_ = true;
  state_.owner().on_stage(Stage::established);
  if (!state_.closing()) state_.owner().on_open();
  if (state_.closing()) return;
  read_or_not();
  if (!pending_.empty() || ending_) loop_.inside().soon(*this);
}

int SocketStream::take_fd() {
  int domain = AF_UNIX;
  socklen_t length = sizeof domain;
  getsockopt(fd_, SOL_SOCKET, SO_DOMAIN, &domain, &length);
  const bool local = domain == AF_UNIX;
  int status = local ? uv_pipe_init(loop_.inside().raw(), &handle_.pipe, 0)
                     : uv_tcp_init(loop_.inside().raw(), &handle_.tcp);
  CHECK(status == 0);
  handle_.base.data = this;
  status = local ? uv_pipe_open(&handle_.pipe, fd_) : uv_tcp_open(&handle_.tcp, fd_);
  // From here on the handle has to be closed, whether it has taken the descriptor or not.
  ready_ = true;
  if (status == 0) fd_ = -1;
  return status;
}

void SocketStream::read_or_not() {
  const bool wanted =
      ready_ && !state_.closing() && !input_ended_ && !has_read_ && !state_.paused();
  if (wanted == reading_) return;
  reading_ = wanted;
  if (!wanted) {
    uv_read_stop(&handle_.stream);
    return;
  }
  const int status = uv_read_start(&handle_.stream, give_room, callback<&SocketStream::received>);
  if (status != 0) fail(Stage::established, status);
}

void SocketStream::give_room(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer) {
  const auto room = static_cast<SocketStream*>(handle->data)->state_.owner().room();
  if (room.size() < kLeastRoom) return allocate(handle, suggested, buffer);
  buffer->base = reinterpret_cast<char*>(room.data());
  buffer->len = std::min(room.size(), kMostAtOnce);
}

void SocketStream::received(ssize_t count, const uv_buf_t* buffer) {
  if (count == 0) return;
  if (count > 0) {
    // There may be more, and libuv would go on reading; others are heard first.
    if (static_cast<std::size_t>(count) == buffer->len) {
      has_read_ = true;
      read_or_not();
      loop_.inside().soon(*this);
    }
    return state_.owner().on_data(base::bytes_of({buffer->base, static_cast<std::size_t>(count)}));
  }
  reading_ = false;
  input_ended_ = true;
  if (count != UV_EOF) return fail(Stage::established, static_cast<int>(count));
  state_.owner().on_end();
}

void SocketStream::flush() {
  if (sending_ != nullptr) return;
  const int status = send_now();
  if (status < 0) return send_failed(status);
  pending_.take(static_cast<std::size_t>(status));
  if (!pending_.empty()) send_later();
  if (broken_ != 0) return;
  if (ending_ && pending_.empty() && sending_ == nullptr) shut_down();
  state_.sent(queued());
}

int SocketStream::send_now() {
  if (pending_.empty()) return 0;
  std::array<uv_buf_t, 16> pieces;
  const auto count = static_cast<unsigned>(pending_.gather(pieces));
  const int status = uv_try_write(&handle_.stream, pieces.data(), count);
  return status == UV_EAGAIN ? 0 : status;
}

void SocketStream::send_later() {
  sending_ = std::make_unique<Sending>();
  sending_->data.swap(pending_);
  std::vector<uv_buf_t> pieces(sending_->data.pieces());
  const auto count = static_cast<unsigned>(sending_->data.gather(pieces));
  const int status = uv_write(&sending_->request, &handle_.stream, pieces.data(), count,
                              callback<&SocketStream::sent>);
  if (status == 0) return;
  sending_.reset();
  send_failed(status);
}

void SocketStream::sent(int status) {
  sending_.reset();
  if (state_.closing()) return;
  if (status != 0) return send_failed(status);
  flush();
}

void SocketStream::send_failed(int status) {
  // What the peer sent before it went, its reason perhaps, is still there to be read in the next
  // turn.
  broken_ = status;
  pending_.take(pending_.size());
  last_reads_ = reading_ || has_read_;
  loop_.inside().soon(*this);
}

void SocketStream::shut_down() {
  if (shut_) return;
  shut_ = true;
  auto* request = new uv_shutdown_t;
  const auto done = [](uv_shutdown_t* finished, int) { delete finished; };
  // A peer that has gone makes it fail; reading or writing says that better.
  if (uv_shutdown(request, &handle_.stream, done) != 0) delete request;
}

void SocketStream::fail(Stage stage, int status) {
  close({kind_of(-status), stage, base::system_words(-status)});
}

void SocketStream::finish() {
  dialer_.reset();
  state_.finish();
}

std::unique_ptr<Stream> adopt_fd(Loop& loop, int fd) {
  return std::make_unique<SocketStream>(loop, fd);
}

std::unique_ptr<Stream> connect_tcp(Loop& loop, std::string host, std::uint16_t port,
                                    const ConnectOptions& options) {
  return std::make_unique<SocketStream>(loop, tcp_dialer(loop, std::move(host), port, options));
}

std::unique_ptr<Stream> connect_unix(Loop& loop, std::vector<std::string> addresses,
                                     Milliseconds deadline) {
  return std::make_unique<SocketStream>(loop, unix_dialer(loop, std::move(addresses), deadline));
}

}  // namespace tunnel::io
