#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "conf/config.h"
#include "conf/original_command.h"
#include "conf/target.h"
#include "conf/text.h"
#include "proxy/command/bridge.h"
#include "proxy/command/bridge_targets.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/splice.h"
#include "proxy/probe/ping_target.h"
#include "proxy/record/system_log.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/loop.h"
#include "tunnel/io/standard_streams.h"
#include "tunnel/tunnel.h"

namespace proxy {
namespace {

using tunnel::io::Loop;
using tunnel::io::StandardFds;

constexpr int kFailed = 1;
constexpr int kEndedBySignal = 128;
constexpr Milliseconds kConnect{5000};

bool is_set(const char* variable) { return std::getenv(variable) != nullptr; }

// A forced command of sshd gets what the client asked for in this variable. Nothing of it chooses
// anything; it only has to be what libvirt asks for.
std::optional<std::string> wrong_original_command() {
  const char* original = std::getenv("SSH_ORIGINAL_COMMAND");
  if (original == nullptr) return std::nullopt;
  const auto command = conf::parse_original_command(original);
  return command ? std::nullopt : std::optional(command.error());
}

// What sshd runs for somebody elsewhere, forced or not. A session with a terminal is a user's own.
bool run_by_sshd() {
  return is_set("SSH_ORIGINAL_COMMAND") || (is_set("SSH_CONNECTION") && !is_set("SSH_TTY"));
}

// What sshd runs for somebody elsewhere says no more to them than that something fails.
class Hearers {
 public:
  explicit Hearers(bool verbose) {
    if (!run_by_sshd()) return;
    log_ = make_system_log(verbose ? Level::debug : Level::warning);
    discretion_.emplace(*log_);
  }
  Hearers(const Hearers&) = delete;
  Hearers& operator=(const Hearers&) = delete;
  ~Hearers() = default;

  // Null: they may hear everything.
  [[nodiscard]] Log* log() const { return log_.get(); }

 private:
  std::unique_ptr<Log> log_;
  std::optional<Discretion> discretion_;
};

int used_wrongly(const std::string& text) {
  say(text);
  return kUsedWrongly;
}

int failed(const std::string& text) {
  if (!text.empty()) complain(text);
  return kFailed;
}

// Nothing may open a descriptor before this has taken the standard ones.
std::optional<int> take_streams(StandardFds& to) {
  const auto taken = tunnel::io::take_standard_streams();
  if (taken) {
    to = *taken;
    return std::nullopt;
  }
  if (!taken.error().terminal) {
    say(taken.error().text);
    return kFailed;
  }
  return used_wrongly(
      taken.error().text +
      ", and libvirt's protocol is spoken there; name this program in command= of a "
      "libvirt URI, as in 'qemu+ext:///system?command=...', or see --help");
}

tunnel::io::Peer ourselves() {
  tunnel::io::Peer peer;
  peer.uid = ::geteuid();
  peer.gid = ::getegid();
  peer.pid = ::getpid();
  const int count = ::getgroups(0, nullptr);
  peer.groups.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  const int got = ::getgroups(static_cast<int>(peer.groups.size()), peer.groups.data());
  peer.groups.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return peer;
}

void note(const std::string& text) { remark(text); }

std::unique_ptr<tunnel::Tunnel> tunnel_on(Loop& loop, const tunnel::Target& target) {
  return tunnel::make_tunnel(loop, target, note);
}

// A signal that was ignored when the program started stays ignored.
bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Runs until `stop` has had its effect or all is done otherwise. 0, or the signal that came.
int run_until_signal(Loop& loop, const std::function<void()>& stop) {
  int got = 0;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    if (is_ignored(signal)) continue;
    loop.on_signal(signal, [&got, &stop, signal] {
      if (got != 0) return;
      got = signal;
      stop();
    });
  }
  loop.run();
  return got;
}

int exit_code(int signal, const BridgeEnd& end, void (*tell)(std::string_view)) {
  if (signal != 0) return kEndedBySignal + signal;
  if (!end.text.empty()) tell(end.text);
  return end.code;
}

int run_filtered(conf::Config config, const StandardFds& fds, bool verbose, Log* hidden) {
  const auto own = hidden == nullptr ? make_log(verbose ? Level::debug : Level::error) : nullptr;
  Log& log = hidden == nullptr ? *own : *hidden;
  Loop loop;
  Sasl sasl(read_auth_conf, in_threads(loop.errands()));
  BridgeEnd end;
  Bridge bridge(
      loop.clock(), log, sasl, std::move(config),
      [&loop](const tunnel::Target& target) { return tunnel_on(loop, target); },
      [&](const BridgeEnd& how) {
        end = how;
        loop.stop();
      });
  if (hidden != nullptr) bridge.trust_nobody();
  bridge.start(tunnel::io::join_fds(loop, fds.in, fds.out), ourselves());
  const int signal = run_until_signal(loop, [&bridge] { bridge.stop(); });
  // The gate has told the client so much already.
  return exit_code(signal, end, say);
}

BridgeEnd raw_end(const Splice::End& end, const std::string& where) {
  using Kind = tunnel::io::Reason::Kind;
  const bool well = end.reason.kind == Kind::end || end.reason.kind == Kind::requested;
  if (end.near_failed) return {well ? 0 : kFailed, {}};
  if (end.opened && well) return {};
  return {kFailed, where + ": " + std::string(tunnel::io::stage_name(end.reason.stage)) + ": " +
                       end.reason.text};
}

int run_raw(Loop& loop, std::unique_ptr<tunnel::io::Stream> far, const std::string& where,
            const StandardFds& fds) {
  Splice::End end;
  Splice splice(loop.clock(), tunnel::io::join_fds(loop, fds.in, fds.out), std::move(far),
                [&](const Splice::End& how) {
                  end = how;
                  loop.stop();
                });
  splice.start();
  const int signal = run_until_signal(loop, [&splice] { splice.stop(); });
  return exit_code(signal, raw_end(end, where), complain);
}

int run_to_gate(const std::string& socket, const StandardFds& fds) {
  Loop loop;
  return run_raw(loop, tunnel::io::connect_unix(loop, {socket}, kConnect), socket, fds);
}

int run_unfiltered(const Chosen& chosen, const StandardFds& fds) {
  conf::TargetConfig target = chosen.target;
  const auto own =
      conf::target_of(target.name, target.uri, chosen.environment, conf::SocketAccess::read_write);
  if (!own) return failed(own.error());
  target.tunnel.sockets = own->tunnel.sockets;
  target.tunnel.read_write = true;
  Loop loop;
  const auto tunnel = tunnel_on(loop, target.tunnel);
  return run_raw(loop, tunnel->stream(), target.name, fds);
}

// The target that leads to this host and port.
base::Result<conf::TargetConfig, std::string> way_to(const BridgeOptions& options,
                                                     std::uint16_t port) {
  const auto loaded = sound_configuration(options.config);
  if (!loaded) return base::Failure{std::string()};
  const std::string& host = options.connect[0];
  const auto leads = [&](const conf::TargetConfig& target) {
    return (!options.through || target.name == *options.through) &&
           conf::allows(target.forwards, host, port);
  };
  const auto& targets = loaded->config.targets;
  const auto found = std::ranges::find_if(targets, leads);
  if (found != targets.end()) {
    conf::TargetConfig target = *found;
    target.tunnel.forward_host = host;
    target.tunnel.forward_port = port;
    return target;
  }
  const std::string where = conf::quoted(host) + " port " + std::to_string(port);
  if (!options.through) return base::Failure{"forward of no target allows " + where};
  if (loaded->config.find(*options.through) == nullptr) {
    return base::Failure{"there is no target " + conf::quoted(*options.through)};
  }
  return base::Failure{"forward of target " + conf::quoted(*options.through) + " does not allow " +
                       where};
}

int run_connect(const BridgeOptions& options, const StandardFds& fds) {
  const auto port = conf::decimal(options.connect[1], std::numeric_limits<std::uint16_t>::max());
  if (!port || *port == 0) {
    return used_wrongly(conf::quoted(options.connect[1]) + " is no port");
  }
  const auto target = way_to(options, static_cast<std::uint16_t>(*port));
  if (!target) return failed(target.error());
  Loop loop;
  const auto tunnel = tunnel_on(loop, target.value().tunnel);
  return run_raw(loop, tunnel->stream(), target.value().name, fds);
}

// libvirt's old rule: a Xen that a user may not open is read through a proxy.
std::optional<Targets> xen_fallback(const Targets& targets, const std::string& gate_socket) {
  if (::geteuid() == 0 || !is_local_xen(targets.front())) return std::nullopt;
  const PingReport direct = ping_target(targets.front(), 1);
  if (!direct.failure) return std::nullopt;
  auto via = targets_via(gate_socket, "xen:///system");
  if (!via) return std::nullopt;
  const PingReport gate = ping_target(via->front(), 1);
  if (gate.failure && gate.failure->reason.stage <= tunnel::io::Stage::connect) return std::nullopt;
  remark(conf::quoted(targets.front().uri) + " fails (" + direct.failure->stage + ": " +
         direct.failure->reason.text + "); going on through the gate at " +
         conf::quoted(gate_socket));
  return std::move(via).value();
}

int bridge_to(const TargetsResult& targets, bool verbose) {
  if (auto wrong = wrong_original_command()) return used_wrongly(*wrong);
  StandardFds fds;
  if (const auto code = take_streams(fds)) return *code;
  const Hearers hearers(verbose);
  // Of what the caller asked for, who runs this as a program of libvirt's.
  if (!targets) return used_wrongly(targets.error());
  std::signal(SIGPIPE, SIG_IGN);
  return run_filtered(bridge_config(*targets, std::nullopt), fds, verbose, hearers.log());
}

}  // namespace

int bridge(const BridgeOptions& options) {
  if (auto wrong = wrong_original_command()) return used_wrongly(*wrong);
  if (!options.connect.empty() && (options.uri || options.unfiltered)) {
    return used_wrongly("--connect takes neither a URI nor --unfiltered");
  }
  if (options.unfiltered && run_by_sshd()) {
    return used_wrongly("--unfiltered is for a user's own command line, not for one run by sshd");
  }
  StandardFds fds;
  if (const auto code = take_streams(fds)) return *code;
  const Hearers hearers(options.verbose);
  std::signal(SIGPIPE, SIG_IGN);
  if (options.via) {
    const auto targets =
        options.uri ? targets_via(*options.via, *options.uri) : targets_at(*options.via);
    if (!targets) return wrong_choice(targets.error());
    if (!options.uri) return run_to_gate(*options.via, fds);
    return run_filtered(bridge_config(*targets, std::nullopt), fds, options.verbose, hearers.log());
  }
  if (!options.connect.empty()) return run_connect(options, fds);
  const auto chosen = choose_target({options.uri, options.config, options.insecure});
  if (!chosen) return failed(chosen.error());
  if (options.unfiltered) return run_unfiltered(*chosen, fds);
  Targets targets = targets_of(*chosen);
  if (auto other = chosen->config ? std::nullopt : xen_fallback(targets, options.gate_socket)) {
    targets = std::move(*other);
  }
  return run_filtered(bridge_config(std::move(targets), chosen->config), fds, options.verbose,
                      hearers.log());
}

int bridge_as_ssh(const SshRequest& request) {
  return bridge_to(targets_over_ssh(request.login, request.command, conf::process_environment()),
                   false);
}

int bridge_as_helper(const std::string& uri) {
  return bridge_to(targets_of_helper(uri, conf::process_environment()), false);
}

int bridge_as_netcat(const std::string& socket) { return bridge_to(targets_at(socket), false); }

}  // namespace proxy
