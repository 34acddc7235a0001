// A whole gate in memory before scripted xends, whose clients send raw bytes.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/gate/gate.h"
#include "tests/unit/support/memory_stream.h"
#include "tests/unit/support/world.h"

namespace test {

// Answers each connection with `answer` once it has a whole head, and remembers all that it got.
class ScriptedXend final : public tunnel::Tunnel {
 public:
  explicit ScriptedXend(tunnel::io::Clock& clock);
  ~ScriptedXend() override;

  std::unique_ptr<tunnel::io::Stream> stream() override;

  // How it behaves.
  bool down = false;    // never accepts
  bool silent = false;  // accepts, and never says a word
  bool closes = true;   // when it has answered
  std::size_t cut = 0;  // delivers at most so many bytes at a time
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n(domain)";

  // What happened.
  std::vector<std::string> got;  // all bytes, a text for each connection
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }
  // Those that wait for their answer get it.
  void answer_all();
  void kill_all();

 private:
  struct Connection;
  tunnel::io::Clock& clock_;
  std::list<std::unique_ptr<Connection>> connections_;
};

class TextClient final : public tunnel::io::StreamOwner {
 public:
  explicit TextClient(std::unique_ptr<MemoryStream> stream) : stream_(std::move(stream)) {}
  ~TextClient() override;

  void start() { stream_->open(*this); }
  void send(std::string_view text) { stream_->write(base::bytes_of(text)); }
  void end() { stream_->end(); }
  void hang_up();
  void stop_reading() { stream_->pause(1); }
  void go_on_reading() { stream_->resume(1); }

  // Of the status line; 0: there is none.
  [[nodiscard]] int status() const;
  // Behind the head.
  [[nodiscard]] std::string body() const;

  std::string got;
  bool ended = false;
  bool closed = false;
  bool stays = false;  // does not close when the other side ends

 private:
  void on_open() override {}
  void on_data(base::Bytes data) override { got += base::text_of(data); }
  void on_end() override;
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason& reason) override;

  std::unique_ptr<MemoryStream> stream_;
};

class XendWorld {
 public:
  // Each target is a xend and has a socket of its own.
  explicit XendWorld(std::vector<std::string> targets = {"rain"});
  XendWorld(const XendWorld&) = delete;
  XendWorld& operator=(const XendWorld&) = delete;
  ~XendWorld() { end(); }

  conf::Config config;  // before the first client

  ScriptedXend& xend(const std::string& name = "rain") { return *xends_.at(name); }
  TextClient& client(std::size_t listener = 0, uid_t uid = 1000, std::size_t cut = 0);
  // A client that has sent `text`, and what became of it when all was quiet.
  TextClient& asked(std::string_view text);
  proxy::Gate& gate();
  void settle() { test::settle(clock); }
  void pass(tunnel::io::Milliseconds time);
  // Begins a drain; the result says when it is through.
  std::shared_ptr<bool> drain();
  void end();

  tunnel::io::Clock clock;
  MemoryLog log;

 private:
  proxy::Sasl sasl_{[](const std::string&, const std::string&, auto&) {
    return proxy::CredentialsResult(base::Failure{std::string("there is no auth.conf here")});
  }};
  std::map<std::string, std::unique_ptr<ScriptedXend>> xends_;
  std::unique_ptr<proxy::Gate> gate_;
  std::vector<std::unique_ptr<TextClient>> clients_;
  bool drained_ = false;
};

inline constexpr std::string_view kAskNode = "GET /xend/node/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

// A request for this path.
std::string ask(std::string_view path);
// A response of xend's.
std::string says(std::string_view body, std::string_view status = "200 OK");

}  // namespace test
