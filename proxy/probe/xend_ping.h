// A legacy xend measured: how long each stage took until it answered what libvirt asks first, and
// how long more such answers took, each from the moment when its connection was there.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "conf/values.h"
#include "proxy/probe/ping.h"
#include "proxy/xend/xend_exchange.h"
#include "tunnel/tunnel.h"

namespace proxy {

class XendPing final : private XendExchangeOwner {
 public:
  // All that is referred to outlives it. `count`: questions to time, each over a connection of its
  // own, one at least. `done` is called once, from the loop.
  XendPing(tunnel::io::Clock& clock, tunnel::Tunnel& tunnel, const conf::TargetConfig& target,
           std::uint32_t count, Ping::Now now, std::function<void()> done);
  XendPing(const XendPing&) = delete;
  XendPing& operator=(const XendPing&) = delete;
  ~XendPing() override = default;

  void start();
  [[nodiscard]] const PingReport& report() const { return report_; }

 private:
  void on_xend_stage(XendExchange& exchange, tunnel::io::Stage stage) override;
  void on_xend_done(XendExchange& exchange) override;
  void ask();
  void finish_stage();

  tunnel::io::Clock& clock_;
  tunnel::Tunnel& tunnel_;
  const conf::TargetConfig& target_;
  std::uint32_t count_;
  Ping::Now now_;
  std::function<void()> done_;
  PingReport report_;
  std::string stage_;  // the one that runs; empty: none
  Nanoseconds began_{0};
  std::unique_ptr<XendExchange> exchange_;
};

}  // namespace proxy
