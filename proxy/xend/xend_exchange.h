// One question to a xend and its answer, over a connection of their own, as xend's own clients do
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "policy/xend_request.h"
#include "policy/xend_response.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace conf {
struct TargetConfig;
}

namespace proxy {

class XendExchange;

class XendExchangeOwner {
 public:
  virtual ~XendExchangeOwner() = default;
  // For those who measure.
  virtual void on_xend_stage(XendExchange& exchange, tunnel::io::Stage stage) {
    static_cast<void>(exchange);
    static_cast<void>(stage);
  }
  // The last call, from the loop; the owner destroys the exchange.
  virtual void on_xend_done(XendExchange& exchange) = 0;
};

class XendExchange final : private tunnel::io::StreamOwner {
 public:
  // `clock` and `owner` outlive it. `stream` is that of a tunnel to the xend, not yet open.
  XendExchange(tunnel::io::Clock& clock, std::unique_ptr<tunnel::io::Stream> stream,
               XendExchangeOwner& owner);
  XendExchange(const XendExchange&) = delete;
  XendExchange& operator=(const XendExchange&) = delete;
  ~XendExchange() override = default;

  // The answer is there within `timeout`, connecting included, or has failed.
  void start(const policy::XendQuestion& question, const std::string& host,
             tunnel::io::Milliseconds timeout);
  void close(tunnel::io::Reason reason);

  // Once it is done: why there is no answer; nothing: response() is complete.
  [[nodiscard]] const std::optional<tunnel::io::Reason>& failure() const { return failure_; }
  [[nodiscard]] const policy::XendResponse& response() const { return response_; }

 private:
  void on_stage(tunnel::io::Stage stage) override;
  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason& reason) override;
  void settle(policy::XendResponse::State state);

  XendExchangeOwner& owner_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  policy::XendResponse response_;
  tunnel::io::Timer deadline_;
  tunnel::io::Milliseconds timeout_{0};
  tunnel::io::Stage stage_ = tunnel::io::Stage::look_up;
  std::optional<tunnel::io::Reason> failure_;
};

// What a request to this target has as its Host.
std::string xend_host(const conf::TargetConfig& target);

}  // namespace proxy
