#include "proxy/probe/ping_target.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/text.h"
#include "proxy/probe/xend_ping.h"
#include "tunnel/io/loop.h"
#include "tunnel/tunnel.h"

namespace proxy {
namespace {

PingSettings settings_of(const conf::TargetConfig& target, std::uint32_t count) {
  PingSettings settings;
  settings.upstream = upstream_settings(target);
  settings.call_timeout = target.call_timeout;
  settings.count = count;
  return settings;
}

}  // namespace

PingReport ping_target(const conf::TargetConfig& target, std::uint32_t count) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto now = [] {
    return std::chrono::duration_cast<Nanoseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  };
  tunnel::io::Loop loop;
  const auto tunnel = tunnel::make_tunnel(loop, target.tunnel, [](const std::string& note) {
    std::fprintf(stderr, "virtgate: %s\n", base::printable(note, 4096).c_str());
  });
  Sasl sasl(read_auth_conf, in_threads(loop.errands()));
  PingReport report;
  if (target.protocol == conf::Protocol::xend) {
    XendPing ping(loop.clock(), *tunnel, target, count, now, [&loop] { loop.stop(); });
    ping.start();
    loop.run();
    report = ping.report();
  } else {
    Ping ping(loop.clock(), sasl, tunnel->stream(), settings_of(target, count), now,
              [&loop] { loop.stop(); });
    ping.start();
    loop.run();
    report = ping.report();
  }
  return report;
}

}  // namespace proxy
