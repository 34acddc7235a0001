#include "proxy/service.h"

#include <csignal>
#include <utility>

#include "proxy/serve.h"
#include "tunnel/io/listener.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/tunnel.h"

namespace proxy {

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

Service::Service(Log& log, AuditSink sink, conf::Config config, conf::LibvirtConf libvirt_conf)
    : log_(log),
      audit_(loop_.clock(), log, local_user_names(), std::move(sink), config.audit.calls),
      sasl_(read_auth_conf),
      gate_(loop_.clock(), audit_, sasl_, std::move(config), std::move(libvirt_conf),
            [this](const tunnel::Target& target) {
              return tunnel::make_tunnel(loop_, target, [this](const std::string& note) {
                log_.line(Level::warning, "tunnel").with("note", note);
              });
            }) {}

Service::~Service() = default;

bool Service::open_doors() {
  for (const int signal : {SIGTERM, SIGINT}) {
    loop_.on_signal(signal, [this] { stop(); });
  }
  for (std::size_t i = 0; i < gate_.config().listen.size(); ++i) {
    const conf::Listen& listen = gate_.config().listen[i];
    auto bound = tunnel::io::LocalSocket::bind(
        {listen.path, listen.mode, listen.group, listen.xen_proxy.has_value()});
    if (!bound) {
      log_.line(Level::error, "start-failed").with("reason", bound.error());
      return false;
    }
    doors_.push_back(std::make_unique<Door>(loop_, std::move(bound).value(), gate_, i, log_));
    log_.line(Level::info, "listen")
        .with("socket", listen.path)
        .with("target", listen.target.empty() ? "-" : listen.target);
  }
  return true;
}

void Service::run() { loop_.run(); }

// A second signal changes nothing: the drain has its own limit.
void Service::stop() {
  if (stopping_) return;
  stopping_ = true;
  doors_.clear();
  gate_.drain([this] { loop_.stop(); });
}

}  // namespace proxy
