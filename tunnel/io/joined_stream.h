// A stream over two descriptors; see join_fds(). Each direction is a half of it: over a pipe or
// socket, which the loop waits for, or over a file, which threads of libuv read and write, since
// nothing can wait for one.
#pragma once

#include <memory>

#include "tunnel/io/loop_inside.h"
#include "tunnel/io/stream.h"
#include "tunnel/io/stream_state.h"

namespace tunnel::io {

// Hears of both halves. All of it comes from the loop.
class HalfOwner {
 public:
  virtual ~HalfOwner() = default;
  virtual void on_input(base::Bytes data) = 0;
  virtual void on_input_end() = 0;
  // The buffer that was given to write() is gone.
  virtual void on_output_done() = 0;
  // Of either; `status` is libuv's.
  virtual void on_half_failed(int status) = 0;
  // The last that comes from a half after close(); it may be destroyed in it.
  virtual void on_half_closed() = 0;
};

class InputHalf {
 public:
  InputHalf() = default;
  InputHalf(const InputHalf&) = delete;
  InputHalf& operator=(const InputHalf&) = delete;
  virtual ~InputHalf() = default;

  // 0, or why nothing can be read. Once.
  virtual int start() = 0;
  virtual void read() = 0;
  virtual void stop() = 0;
  // Also before start(), and then on_half_closed() may come at once.
  virtual void close() = 0;
};

class OutputHalf {
 public:
  OutputHalf() = default;
  OutputHalf(const OutputHalf&) = delete;
  OutputHalf& operator=(const OutputHalf&) = delete;
  virtual ~OutputHalf() = default;

  virtual int start() = 0;
  // Not before the last one is done.
  virtual void write(base::Buffer data) = 0;
  [[nodiscard]] virtual std::size_t queued() const = 0;
  virtual void close() = 0;
};

// The halves own their descriptors.
std::unique_ptr<InputHalf> input_half(Loop& loop, int fd, HalfOwner& owner);
std::unique_ptr<OutputHalf> output_half(Loop& loop, int fd, HalfOwner& owner);

class JoinedStream final : public Stream, private Task, private HalfOwner {
 public:
  JoinedStream(Loop& loop, int in, int out);

  void open(StreamOwner& owner) override;
  void write(base::Bytes data) override;
  [[nodiscard]] std::size_t queued() const override;
  void end() override;
  void pause(unsigned reasons) override;
  void resume(unsigned reasons) override;
  void close(Reason reason) override;

 private:
  void run_soon() override;
  void on_input(base::Bytes data) override;
  void on_input_end() override;
  void on_output_done() override;
  void on_half_failed(int status) override;
  void on_half_closed() override;

  void start();
  void read_or_not();
  void flush();

  Loop& loop_;
  std::unique_ptr<InputHalf> in_;
  std::unique_ptr<OutputHalf> out_;
  StreamState state_;
  base::Buffer pending_;
  int halves_ = 0;  // that have not closed
  bool ready_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool input_ended_ = false;
  bool ending_ = false;
};

}  // namespace tunnel::io
