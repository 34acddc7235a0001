#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "conf/resolve.h"
#include "conf/target.h"
#include "conf/xend_target.h"
#include "proxy/command_text.h"
#include "proxy/commands.h"
#include "proxy/ping.h"
#include "proxy/ping_text.h"
#include "proxy/serve.h"
#include "proxy/xend_ping.h"
#include "tunnel/io/loop.h"
#include "tunnel/tunnel.h"

namespace proxy {
namespace {

using Chosen = base::Result<conf::Target, std::string>;

constexpr const char* kNobodyChose = "remote+unix:///";
constexpr const char* kNobodyChoseUser = "remote+unix:///session";

bool there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Chosen protected_or_not(base::Result<conf::Target, std::string> target, bool insecure) {
  if (!target) return target;
  target->tunnel.insecure = insecure;
  const auto why = conf::why_unprotected(*target);
  if (why) return base::Failure{*why + " (here: --insecure)"};
  return target;
}

// What libvirt's client would open, with the credentials of whoever runs this; or a xend, which no
// client of today would.
Chosen by_uri(const PingOptions& options) {
  if (options.what && conf::is_xend_form(*options.what)) {
    return protected_or_not(conf::xend_target_of(*options.what, *options.what), options.insecure);
  }
  conf::ClientEnvironment environment = conf::client_environment();
  const auto libvirt = conf::load_libvirt_conf(environment.process);
  if (!libvirt) return base::Failure{conf::to_string(libvirt.error())};
  const conf::Resolution resolution =
      conf::resolve({options.what, conf::kConnectReadOnly}, environment, *libvirt, there);
  if (resolution.error) return base::Failure{*resolution.error};
  if (resolution.transport.empty()) {
    return base::Failure{"there is no daemon to ask: " + resolution.steps.back()};
  }
  environment.process.remote_mode = libvirt->remote_mode;
  environment.process.remote_proxy = libvirt->remote_proxy;
  std::string uri = resolution.uri;
  if (uri.empty()) uri = environment.process.uid == 0 ? kNobodyChose : kNobodyChoseUser;
  return protected_or_not(conf::target_of(uri, uri, environment.process), options.insecure);
}

bool is_name(const PingOptions& options) {
  return options.what && !conf::wrong_target_name(*options.what);
}

// The error is empty when the mistakes in the configuration have been told already.
Chosen choose(const PingOptions& options) {
  if (!options.config && !is_name(options)) return by_uri(options);
  ServeOptions named;
  named.config = options.config;
  const conf::Loaded loaded = configuration(named);
  if (options.config && complain(loaded.mistakes)) return base::Failure{std::string()};
  const conf::Target* target = options.what ? loaded.config.find(*options.what) : nullptr;
  if (target == nullptr) {
    Chosen other = by_uri(options);
    if (other) return other;
    return base::Failure{other.error() + "; no target has this name either"};
  }
  conf::Target copy = *target;
  copy.tunnel.insecure = copy.tunnel.insecure || options.insecure;
  return copy;
}

PingSettings settings_of(const conf::Target& target, std::uint32_t count) {
  PingSettings settings;
  settings.upstream.connect_name = target.connect_name;
  settings.upstream.authentication = authentication_settings(target);
  settings.upstream.open_timeout = target.open_timeout;
  settings.call_timeout = target.call_timeout;
  settings.count = count;
  return settings;
}

PingReport measure(const conf::Target& target, std::uint32_t count) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto now = [] {
    return std::chrono::duration_cast<Nanoseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  };
  tunnel::io::Loop loop;
  const auto tunnel = tunnel::make_tunnel(loop, target.tunnel, [](const std::string& note) {
    std::fprintf(stderr, "virtgate: %s\n", note.c_str());
  });
  Sasl sasl(read_auth_conf);
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

}  // namespace

int ping(const PingOptions& options) {
  const Chosen target = choose(options);
  if (!target) {
    if (!target.error().empty()) complain(target.error());
    return 1;
  }
  const PingReport report = measure(*target, options.count);
  const std::string text = options.json ? ping_json(*target, report) : ping_text(*target, report);
  std::fputs(text.c_str(), stdout);
  return report.failure ? 1 : 0;
}

}  // namespace proxy
