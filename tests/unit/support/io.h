// What tests of real sockets need: a stream's owner that writes down what it hears, pairs of
// connected sockets, and folders that go away.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tunnel/io/loop.h"
#include "tunnel/io/stream.h"

namespace test {

// Owns a stream and destroys it in on_closed(). `at` is called after each event was noted, with its
// name: "stage", "open", "data", "end", "drain", "closed".
class Recorder : public tunnel::io::StreamOwner {
 public:
  explicit Recorder(std::unique_ptr<tunnel::io::Stream> of) : stream(std::move(of)) {}

  void open() { stream->open(*this); }
  void write(std::string_view text) { stream->write(base::bytes_of(text)); }
  void close() { stream->close({}); }

  void on_stage(tunnel::io::Stage stage) override;
  void on_open() override;
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override;
  void on_closed(const tunnel::io::Reason& reason) override;

  [[nodiscard]] bool closed() const { return reason.has_value(); }
  [[nodiscard]] std::string reason_text() const { return reason ? reason->text : ""; }

  std::unique_ptr<tunnel::io::Stream> stream;
  std::function<void(std::string_view)> at;
  std::vector<tunnel::io::Stage> stages;
  bool opened = false;
  bool ended = false;
  int drained = 0;
  std::string data;
  std::optional<tunnel::io::Reason> reason;

 private:
  void tell(std::string_view event);
};

// Turns the loop until `done()`; fails the test when that takes a minute.
void run_until(tunnel::io::Loop& loop, const std::function<bool()>& done);
// Turns the loop for as long as anything happens that is due now.
void run_for(tunnel::io::Loop& loop, tunnel::io::Milliseconds time);

enum class Kind { unix, tcp };

// Two connected sockets of which the caller owns both.
std::pair<int, int> socket_pair(Kind kind);

// Listening on loopback, closed at the end.
class TcpServer {
 public:
  explicit TcpServer(int backlog = 128, bool v6 = false);
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;
  ~TcpServer();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Blocks until somebody is there.
  [[nodiscard]] int accept() const;
  // Nobody listens on the port from now on.
  void stop();

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

// A Unix socket bound to `path`, listening if `backlog` is not negative. The caller closes it.
int unix_server(const std::string& path, int backlog);

// Everything that can be read from `fd` until its end.
std::string read_all(int fd);

}  // namespace test
