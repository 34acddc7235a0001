// One connection to a target, opened as a pool opens them, and measured: how long each stage took,
// who answered, and how long some calls took.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/upstream/upstream.h"

namespace proxy {

using Nanoseconds = std::chrono::nanoseconds;

struct PingReport {
  // The stage behind those of the tunnel.
  static constexpr const char* kCall = "call";

  struct Stage {
    std::string name;
    Nanoseconds time{0};
  };
  struct Failure {
    std::string stage;  // "look-up", ..., "call"
    tunnel::io::Reason reason;
  };

  std::vector<Stage> stages;  // in order, those that were finished
  std::vector<Nanoseconds> calls;
  // Of the remote library: major * 1,000,000 + minor * 1,000 + release.
  std::optional<std::uint64_t> version;
  // Foreign text. Nothing: the daemon does not say.
  std::optional<std::string> host;
  std::optional<std::string> uri;
  std::optional<Failure> failure;
};

struct PingSettings {
  UpstreamSettings upstream;
  Milliseconds call_timeout{30000};
  std::uint32_t count = 1;  // calls to time, one at least
};

class Ping final : private UpstreamOwner {
 public:
  using Now = std::function<Nanoseconds()>;

  // `clock` and `sasl` outlive it. `stream` is that of a tunnel to the target, not yet open. `done`
  // is called once, from the loop, when the connection has gone.
  Ping(tunnel::io::Clock& clock, Sasl& sasl, std::unique_ptr<tunnel::io::Stream> stream,
       PingSettings settings, Now now, std::function<void()> done);
  Ping(const Ping&) = delete;
  Ping& operator=(const Ping&) = delete;
  ~Ping() override = default;

  void start();
  [[nodiscard]] const PingReport& report() const { return report_; }

 private:
  void on_upstream_stage(Upstream& upstream, tunnel::io::Stage stage) override;
  void on_upstream_ready(Upstream& upstream) override;
  void on_upstream_reply(Upstream& upstream, Calls call, const policy::Frame& reply) override;
  void on_upstream_event(Upstream& upstream, const policy::Frame& event) override;
  void on_upstream_closed(Upstream& upstream, const policy::Fault& fault,
                          const tunnel::io::Reason& reason) override;

  void begin(std::string stage);
  void finish_stage();
  void call(std::int32_t procedure);
  void next_call();
  void on_version(const policy::Frame& reply);
  void fail(tunnel::io::Reason::Kind kind, std::string text);

  std::uint32_t count_;
  Milliseconds call_timeout_;
  Now now_;
  std::function<void()> done_;
  PingReport report_;
  std::string stage_;  // the one that runs; empty: none
  Nanoseconds began_{0};
  tunnel::io::Timer deadline_;
  std::unique_ptr<Upstream> upstream_;
};

}  // namespace proxy
