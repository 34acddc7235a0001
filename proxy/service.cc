#include "proxy/service.h"

#include <csignal>
#include <utility>

#include "proxy/serve.h"
#include "tunnel/io/listener.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/tunnel.h"

namespace proxy {
namespace {

// What closing the upstreams may take when the clients have gone.
constexpr tunnel::io::Milliseconds kAfterDrain{20000};

}  // namespace

// One of the gate's sockets.
class Service::Door final : private tunnel::io::ListenerOwner {
 public:
  Door(tunnel::io::Loop& loop, std::unique_ptr<tunnel::io::LocalSocket> socket, Gate& gate,
       std::size_t number, Log& log)
      : gate_(gate), number_(number), log_(log), listener_(loop, std::move(socket), *this) {}
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() override = default;

 private:
  void on_accept(std::unique_ptr<tunnel::io::Stream> stream,
                 const tunnel::io::Peer& peer) override {
    gate_.accept(std::move(stream), peer, number_);
  }
  void on_accept_failed(const std::string& text) override {
    log_.line(Level::error, "accept-failed")
        .with("socket", listener_.socket().name())
        .with("reason", text);
  }

  Gate& gate_;
  std::size_t number_;
  Log& log_;
  tunnel::io::Listener listener_;
};

Service::Service(Log& log, AuditSink sink, conf::Config config, conf::LibvirtConf libvirt_conf,
                 std::string control)
    : log_(log),
      notify_(loop_.clock()),
      repeats_(loop_.clock(), log),
      audit_(loop_.clock(), repeats_, local_user_names(), std::move(sink), config.audit.calls),
      sasl_(read_auth_conf),
      gate_(loop_.clock(), audit_, sasl_, std::move(config), std::move(libvirt_conf),
            [this](const tunnel::Target& target) {
              return tunnel::make_tunnel(loop_, target, [this](const std::string& note) {
                repeats_.line(Level::warning, "tunnel").with("note", note);
              });
            }),
      status_(loop_, gate_, log, std::move(control)) {}

Service::~Service() = default;

bool Service::open_doors() {
  for (const int signal : {SIGTERM, SIGINT}) {
    loop_.on_signal(signal, [this] { stop(); });
  }
  auto passed = PassedSockets::take();
  if (!passed) return start_failed(passed.error());
  for (std::size_t i = 0; i < gate_.config().listen.size(); ++i) {
    if (!open_door(i, *passed)) return false;
  }
  if (const std::string rest = passed->unclaimed(); !rest.empty()) {
    return start_failed("passed by the service manager, but no [[listen]] has that path: " + rest);
  }
  return status_.open();
}

bool Service::open_door(std::size_t number, PassedSockets& passed) {
  const conf::Listen& listen = gate_.config().listen[number];
  PassedSocket from = passed.claim(listen.path);
  const bool was_passed = from.socket != nullptr;
  if (!was_passed) {
    auto bound = tunnel::io::LocalSocket::bind(
        {listen.path, listen.mode, listen.group, listen.xen_proxy.has_value()});
    if (!bound) return start_failed(bound.error());
    from.socket = std::move(bound).value();
  }
  doors_.push_back(std::make_unique<Door>(loop_, std::move(from.socket), gate_, number, log_));
  Line line = log_.line(Level::info, "listen");
  line.with("socket", listen.path).with("target", listen.target.empty() ? "-" : listen.target);
  if (was_passed) line.with("passed_as", from.name);
  return true;
}

bool Service::start_failed(const std::string& reason) {
  log_.line(Level::error, "start-failed").with("reason", reason);
  return false;
}

void Service::run() {
  notify_.ready("targets: " + std::to_string(gate_.config().targets.size()) +
                ", sockets: " + std::to_string(doors_.size()));
  loop_.run();
  repeats_.say();
}

// A second signal changes nothing: the drain has its own limit.
void Service::stop() {
  if (stopping_) return;
  stopping_ = true;
  doors_.clear();
  notify_.stopping("waits for last calls, clients: " + std::to_string(gate_.clients()),
                   gate_.config().limits.drain_timeout + kAfterDrain);
  gate_.drain([this] { status_.close([this] { loop_.stop(); }); });
}

}  // namespace proxy
