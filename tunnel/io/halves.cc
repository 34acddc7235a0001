// The two directions of a joined stream, over what can be waited for and over files.
#include <array>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/check.h"
#include "base/fd.h"
#include "tunnel/io/callback.h"
#include "tunnel/io/joined_stream.h"

namespace tunnel::io {
namespace {

mode_t kind_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

bool is_file(int fd) { return kind_of(fd) == S_IFREG || kind_of(fd) == S_IFCHR; }

// A pipe or a socket, as libuv has it.
class Handle {
 public:
  // Both directions are made before one of them is opened: they may share an open file.
  Handle(Loop& loop, int fd, void* data) : loop_(loop), fd_(fd), flags_(fcntl(fd, F_GETFL)) {
    pipe_.data = data;
  }

  int open() {
    CHECK(uv_pipe_init(loop_.inside().raw(), &pipe_, 0) == 0);
    made_ = true;
    const int status = uv_pipe_open(&pipe_, fd_.get());
    taken_ = status == 0 ? fd_.release() : -1;
    return status;
  }
  // `closed` is called from the loop; false: never, since there is nothing to close.
  bool close(uv_close_cb closed) {
    if (!made_) return false;
    if (taken_ >= 0) fcntl(taken_, F_SETFL, flags_);
    uv_close(reinterpret_cast<uv_handle_t*>(&pipe_), closed);
    return true;
  }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&pipe_); }
  [[nodiscard]] const uv_stream_t* stream() const {
    return reinterpret_cast<const uv_stream_t*>(&pipe_);
  }
  [[nodiscard]] int fd() const { return taken_; }

 private:
  Loop& loop_;
  base::Fd fd_;
  int flags_;
  uv_pipe_t pipe_{};
  int taken_ = -1;
  bool made_ = false;
};

class PipeInput final : public InputHalf {
 public:
  PipeInput(Loop& loop, int fd, HalfOwner& owner) : owner_(owner), handle_(loop, fd, this) {}

  int start() override { return handle_.open(); }
  void read() override {
    const int status = uv_read_start(handle_.stream(), allocate, callback<&PipeInput::received>);
    if (status != 0) owner_.on_half_failed(status);
  }
  void stop() override { uv_read_stop(handle_.stream()); }
  void close() override {
    if (!handle_.close(callback<&PipeInput::closed>)) owner_.on_half_closed();
  }

 private:
  void closed() { owner_.on_half_closed(); }
  void received(ssize_t count, const uv_buf_t* buffer) {
    if (count == UV_EOF) return owner_.on_input_end();
    if (count < 0) return owner_.on_half_failed(static_cast<int>(count));
    if (count > 0) owner_.on_input(base::bytes_of({buffer->base, static_cast<std::size_t>(count)}));
  }

  HalfOwner& owner_;
  Handle handle_;
};

class PipeOutput final : public OutputHalf {
 public:
  PipeOutput(Loop& loop, int fd, HalfOwner& owner)
      : loop_(loop), owner_(owner), handle_(loop, fd, this) {}

  int start() override {
    const int status = handle_.open();
    if (status == 0 && kind_of(handle_.fd()) == S_IFIFO) watch_reader();
    return status;
  }
  void write(base::Buffer data) override {
    data_ = std::move(data);
    const uv_buf_t buffer{reinterpret_cast<char*>(data_.data()), data_.size()};
    const int status =
        uv_write(&request_, handle_.stream(), &buffer, 1, callback<&PipeOutput::written>);
    if (status != 0) owner_.on_half_failed(status);
  }
  [[nodiscard]] std::size_t queued() const override {
    return uv_stream_get_write_queue_size(handle_.stream());
  }
  void close() override {
    const auto closed = callback<&PipeOutput::closed_one, uv_handle_t>;
    if (watched_) {
      ++closing_;
      uv_close(reinterpret_cast<uv_handle_t*>(&reader_), closed);
    }
    if (handle_.close(closed)) {
      ++closing_;
    } else {
      owner_.on_half_closed();
    }
  }

 private:
  // The kernel tells a writer that sends nothing only by an error condition. Two handles of libuv
  // cannot have one descriptor.
  void watch_reader() {
    watched_fd_.reset(fcntl(handle_.fd(), F_DUPFD_CLOEXEC, 0));
    if (!watched_fd_.ok() || uv_poll_init(loop_.inside().raw(), &reader_, watched_fd_.get()) != 0)
      return;
    watched_ = true;
    reader_.data = this;
    uv_poll_start(&reader_, UV_DISCONNECT, callback<&PipeOutput::reader_gone>);
  }
  void reader_gone(int, int) {
    uv_poll_stop(&reader_);
    owner_.on_half_failed(UV_EPIPE);
  }
  void written(int status) {
    data_ = base::Buffer();
    if (status == UV_ECANCELED) return;
    if (status != 0) return owner_.on_half_failed(status);
    owner_.on_output_done();
  }
  void closed_one() {
    if (--closing_ == 0) owner_.on_half_closed();
  }

  Loop& loop_;
  HalfOwner& owner_;
  Handle handle_;
  uv_write_t request_{};
  base::Buffer data_;
  base::Fd watched_fd_{-1};
  uv_poll_t reader_{};
  bool watched_ = false;
  int closing_ = 0;
};

class FileInput final : public InputHalf, private Task {
 public:
  FileInput(Loop& loop, int fd, HalfOwner& owner) : loop_(loop), owner_(owner), fd_(fd) {
    request_.data = this;
  }

  int start() override { return 0; }
  void read() override {
    wanted_ = true;
    loop_.inside().soon(*this);
  }
  void stop() override { wanted_ = false; }
  void close() override {
    closing_ = true;
    if (!busy_) return owner_.on_half_closed();
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_));
  }

 private:
  void run_soon() override {
    if (wanted_ && !busy_ && !closing_) step();
  }
  // What was read while nobody wanted it is passed on before more is read.
  void step() {
    if (has_result_) {
      has_result_ = false;
      if (result_ < 0) return owner_.on_half_failed(static_cast<int>(result_));
      if (result_ == 0) return owner_.on_input_end();
      owner_.on_input(base::bytes_of({buffer_.data(), static_cast<std::size_t>(result_)}));
      if (!wanted_ || closing_) return;
    }
    const uv_buf_t buffer{buffer_.data(), buffer_.size()};
    busy_ = true;
    CHECK(uv_fs_read(loop_.inside().raw(), &request_, fd_.get(), &buffer, 1, -1,
                     callback<&FileInput::finished>) == 0);
  }
  void finished() {
    result_ = request_.result;
    uv_fs_req_cleanup(&request_);
    busy_ = false;
    if (closing_) return owner_.on_half_closed();
    has_result_ = true;
    if (wanted_) step();
  }

  Loop& loop_;
  HalfOwner& owner_;
  base::Fd fd_;
  uv_fs_t request_{};
  std::array<char, std::size_t{64} * 1024> buffer_{};
  ssize_t result_ = 0;
  bool has_result_ = false;
  bool busy_ = false;
  bool wanted_ = false;
  bool closing_ = false;
};

class FileOutput final : public OutputHalf {
 public:
  FileOutput(Loop& loop, int fd, HalfOwner& owner) : loop_(loop), owner_(owner), fd_(fd) {
    request_.data = this;
  }

  int start() override { return 0; }
  void write(base::Buffer data) override {
    data_ = std::move(data);
    written_ = 0;
    step();
  }
  [[nodiscard]] std::size_t queued() const override { return data_.size() - written_; }
  void close() override {
    closing_ = true;
    if (!busy_) return owner_.on_half_closed();
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_));
  }

 private:
  void step() {
    const uv_buf_t buffer{reinterpret_cast<char*>(data_.data()) + written_,
                          data_.size() - written_};
    busy_ = true;
    CHECK(uv_fs_write(loop_.inside().raw(), &request_, fd_.get(), &buffer, 1, -1,
                      callback<&FileOutput::finished>) == 0);
  }
  void finished() {
    const ssize_t result = request_.result;
    uv_fs_req_cleanup(&request_);
    busy_ = false;
    if (closing_) return owner_.on_half_closed();
    if (result <= 0) return owner_.on_half_failed(result < 0 ? static_cast<int>(result) : UV_EIO);
    written_ += static_cast<std::size_t>(result);
    if (written_ < data_.size()) return step();
    data_ = base::Buffer();
    written_ = 0;
    owner_.on_output_done();
  }

  Loop& loop_;
  HalfOwner& owner_;
  base::Fd fd_;
  uv_fs_t request_{};
  base::Buffer data_;
  std::size_t written_ = 0;
  bool busy_ = false;
  bool closing_ = false;
};

}  // namespace

std::unique_ptr<InputHalf> input_half(Loop& loop, int fd, HalfOwner& owner) {
  if (is_file(fd)) return std::make_unique<FileInput>(loop, fd, owner);
  return std::make_unique<PipeInput>(loop, fd, owner);
}

std::unique_ptr<OutputHalf> output_half(Loop& loop, int fd, HalfOwner& owner) {
  if (is_file(fd)) return std::make_unique<FileOutput>(loop, fd, owner);
  return std::make_unique<PipeOutput>(loop, fd, owner);
}

}  // namespace tunnel::io
