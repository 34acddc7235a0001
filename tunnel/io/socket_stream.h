// A stream over a socket or a pipe end. Thousands of these lie idle at a time, so nothing is held
// for what does not happen: no read buffer, no write buffer, no callbacks of its own.
#pragma once

#include <memory>
#include <optional>

#include <uv.h>

#include "tunnel/io/dialer.h"
#include "tunnel/io/loop_inside.h"
#include "tunnel/io/outgoing.h"
#include "tunnel/io/stream.h"
#include "tunnel/io/stream_state.h"

namespace tunnel::io {

class SocketStream final : public Stream, private Task, private DialerOwner {
 public:
  // Connected already; see adopt_fd().
  SocketStream(Loop& loop, int fd);
  SocketStream(Loop& loop, std::unique_ptr<Dialer> dialer);
  ~SocketStream() override;

  void open(StreamOwner& owner) override;
  void write(base::Bytes data) override;
  void write_kept(base::Bytes data, const base::Keeper& keeper) override;
  [[nodiscard]] std::size_t queued() const override;
  void end() override;
  void pause(unsigned reasons) override;
  void resume(unsigned reasons) override;
  // What was written in this turn of the loop is offered to the system before an orderly close, and
  // lost if the system does not take it at once.
  void close(Reason reason) override;

 private:
  struct Sending;

  [[nodiscard]] bool takes(base::Bytes data) const;
  void wrote();
  void run_soon() override;
  void on_dial_stage(Stage stage) override;
  void on_dialed(int fd) override;
  void on_dial_failed(Reason reason) override;

  void start();
  int take_fd();
  void read_or_not();
  static void give_room(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  void received(ssize_t count, const uv_buf_t* buffer);
  void flush();
  int send_now();
  void send_later();
  void sent(int status);
  void send_failed(int status);
  void shut_down();
  void fail(Stage stage, int status);
  void finish();

  union Handle {
    uv_handle_t base;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
  };

  Loop& loop_;
  StreamState state_;
  std::unique_ptr<Dialer> dialer_;
  // What was written and has not been offered to the system, and what the system did not take.
  Outgoing pending_;
  std::unique_ptr<Sending> sending_;
  int fd_ = -1;  // before the handle has it
  int broken_ = 0;
  bool started_ : 1 = false;
  bool ready_ : 1 = false;
  bool reading_ : 1 = false;
  bool ending_ : 1 = false;
  bool shut_ : 1 = false;
  bool input_ended_ : 1 = false;
  bool last_reads_ : 1 = false;
  bool has_read_ : 1 = false;  // all that it may in this turn
  Handle handle_{};
};

}  // namespace tunnel::io
