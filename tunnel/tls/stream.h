// A TLS connection as a stream, over the stream that it owns.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tunnel/io/clock.h"
#include "tunnel/io/errands.h"
#include "tunnel/io/stream.h"
#include "tunnel/io/stream_state.h"
#include "tunnel/notes.h"
#include "tunnel/target.h"
#include "tunnel/tls/engine.h"
#include "tunnel/tls/files.h"

namespace tunnel {

// What all streams to one target share. It outlives them.
struct TlsContext {
  io::Clock& clock;
  Target target;
  TlsPlaces places;
  Notes notes;
  io::RunErrand errand;  // reads the certificates and keys
};

// open() has the certificates and keys read, so that each connection has what the files hold then;
// if they are not good, or not there within `timeouts.handshake`, the stream below is never opened.
// The handshake may take
// `timeouts.handshake`, and the server's confirmation `timeouts.authentication` from its end.
//
// A server that ends the connection without close_notify has not said that it was done, and
// libvirtd never does: all data that came is delivered, and then the stream closes with Kind::end
// and a text that says so, without on_end().
class TlsStream : public io::Stream, private io::StreamOwner {
 public:
  TlsStream(const TlsContext& context, std::unique_ptr<io::Stream> below);

  void open(io::StreamOwner& owner) override;
  void write(base::Bytes data) override;
  [[nodiscard]] std::size_t queued() const override;
  void end() override;
  void pause(unsigned reasons) override;
  void resume(unsigned reasons) override;
  void close(io::Reason reason) override;

  // Bytes that a server may send before the connection is open: certificates, and names of those
  // that may sign ours.
  static constexpr std::size_t kMostBeforeOpen = std::size_t{256} * 1024;

 private:
  enum class Below : std::uint8_t { idle, opened, closed };

  void on_stage(io::Stage stage) override;
  void on_open() override;
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override;
  void on_closed(const io::Reason& reason) override;

  void read_files();
  void files_read(int error, std::optional<TlsFiles> files);
  bool prepare(TlsFiles files);
  void advance();
  void enter(io::Stage stage, io::Milliseconds limit);
  void become_open();
  void deliver();
  void send();
  void send_end();
  void turn();
  void late();
  void finish();

  const TlsContext& context_;
  std::unique_ptr<io::Stream> below_;
  io::ErrandHandle reading_;
  std::unique_ptr<TlsEngine> engine_;
  io::StreamState state_;
  io::Timer deadline_;
  io::Timer turn_;
  Below below_state_ = Below::idle;
  io::Stage stage_ = io::Stage::look_up;
  base::Buffer pending_;         // written before the stream was open
  std::size_t before_open_ = 0;  // bytes that have come
  bool ending_ = false;
  bool end_told_ = false;
};

}  // namespace tunnel
