// A TLS stream of a tunnel and the server that it reaches, over memory and on a clock that the test
// turns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/support/memory_stream.h"
#include "tests/unit/support/tls_world.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/errands.h"
#include "tunnel/target.h"
#include "tunnel/tunnel.h"

namespace test {

// Writes down what a stream says to its owner, and holds it to the contract.
class Witness : public tunnel::io::StreamOwner {
 public:
  ~Witness() override;

  void on_stage(tunnel::io::Stage stage) override;
  void on_open() override;
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override;
  void on_closed(const tunnel::io::Reason& reason) override;

  // Calls the stream, in which it must not say that it is closed.
  void call(const std::function<void(tunnel::io::Stream&)>& what);

  std::unique_ptr<tunnel::io::Stream> stream;
  std::function<void(tunnel::io::Stage)> when_stage;
  std::function<void()> when_open;
  std::function<void()> when_data;
  std::function<void()> when_end;
  std::vector<tunnel::io::Stage> stages;
  base::Buffer data;
  int opened = 0;
  int ended = 0;
  int drained = 0;
  std::optional<tunnel::io::Reason> closed;

 private:
  void must_live() const;
  bool calling_ = false;
};

// The server's end of the connection.
class ServerEnd : public tunnel::io::StreamOwner {
 public:
  ServerEnd(const TlsServer::Options& options, std::unique_ptr<MemoryStream> stream);
  ~ServerEnd() override;

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override { ended = true; }
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason& reason) override;

  // Sends what the server has to say.
  void flush();
  // Nothing of it leaves any more from now on but this many bytes.
  void mute_after(std::size_t bytes) { left_ = bytes; }

  TlsServer tls;
  std::unique_ptr<MemoryStream> stream;
  bool ended = false;
  bool closed = false;

 private:
  std::optional<std::size_t> left_;
};

struct Scene {
  Scene();
  ~Scene();

  // Makes the tunnel of `target` if there is none yet, and a stream of it, not yet opened.
  void connect();
  // The same, and opens it and lets all happen that can.
  void open();
  void settle() { test::settle(clock, 1000000); }
  void pass(tunnel::io::Milliseconds time);
  // Ends both sides and lets them go.
  void finish();

  tunnel::io::Clock clock;
  TlsWorld world;
  tunnel::Target target;
  std::size_t piece = 0;    // as in MemoryStream::deliver_at_most()
  bool hold_below = false;  // as in MemoryStream::hold_open()
  tunnel::io::RunErrand errand = tunnel::io::run_errand_at_once;
  std::unique_ptr<tunnel::Tunnel> tunnel;
  Witness client;
  MemoryStream* below = nullptr;  // the client's
  std::unique_ptr<ServerEnd> server;
  std::vector<std::string> notes;
};

}  // namespace test
