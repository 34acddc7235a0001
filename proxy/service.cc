#include "proxy/service.h"

#include <algorithm>
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
       conf::Listen listen, Log& log, bool passed)
      : gate_(gate),
        listen_(std::move(listen)),
        log_(log),
        passed_(passed),
        listener_(loop, std::move(socket), *this) {}
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() override = default;

  [[nodiscard]] const conf::Listen& listen() const { return listen_; }
  // A socket that was passed to us has the access that its maker gave it.
  [[nodiscard]] bool can_be(const conf::Listen& next) const {
    return next.path == listen_.path && next.xen_proxy == listen_.xen_proxy &&
           (passed_ || (next.mode == listen_.mode && next.group == listen_.group));
  }
  // Its maker goes on listening there, and nobody would take who connects.
  [[nodiscard]] bool must_stay() const { return passed_; }
  // Clients come in by this number of the gate's listeners from now on.
  void become(std::size_t number, const conf::Listen& listen) {
    number_ = number;
    listen_ = listen;
  }

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
  conf::Listen listen_;
  std::size_t number_ = 0;
  Log& log_;
  const bool passed_;
  tunnel::io::Listener listener_;
};

Service::Service(Log& log, AuditSink sink, Reading reading, ReadAgain read_again)
    : log_(log),
      notify_(loop_.clock()),
      repeats_(loop_.clock(), log),
      audit_(loop_.clock(), repeats_, local_user_names(), std::move(sink),
             reading.config.audit.calls),
      sasl_(read_auth_conf),
      gate_(loop_.clock(), audit_, sasl_, std::move(reading.config),
            std::move(reading.libvirt_conf),
            [this](const tunnel::Target& target) {
              return tunnel::make_tunnel(loop_, target, [this](const std::string& note) {
                repeats_.line(Level::warning, "tunnel").with("note", note);
              });
            }),
      status_(loop_, gate_, audit_, std::move(reading.control)),
      read_again_(std::move(read_again)) {}

Service::~Service() = default;

bool Service::open_doors() {
  for (const int signal : {SIGTERM, SIGINT}) {
    loop_.on_signal(signal, [this] { stop(); });
  }
  loop_.on_signal(SIGHUP, [this] { reload(); });
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
  if (from.socket != nullptr) {
    doors_.push_back(
        std::make_unique<Door>(loop_, std::move(from.socket), gate_, listen, log_, true));
  } else {
    auto door = new_door(listen);
    if (!door) return start_failed(door.error());
    doors_.push_back(std::move(*door));
  }
  doors_.back()->become(number, listen);
  Line line = log_.line(Level::info, "listen");
  line.with("socket", listen.path).with("target", listen.target.empty() ? "-" : listen.target);
  if (!from.name.empty()) line.with("passed_as", from.name);
  return true;
}

base::Result<std::unique_ptr<Service::Door>, std::string> Service::new_door(
    const conf::Listen& listen) {
  auto bound = tunnel::io::LocalSocket::bind(
      {listen.path, listen.mode, listen.group, listen.xen_proxy.has_value()});
  if (!bound) return base::Failure{bound.error()};
  return std::make_unique<Door>(loop_, std::move(*bound), gate_, listen, log_, false);
}

bool Service::start_failed(const std::string& reason) {
  log_.line(Level::error, "start-failed").with("reason", reason);
  return false;
}

void Service::run(Confinement held) {
  held_ = std::move(held);
  say_ready();
  loop_.run();
  audit_.say_suppressed();
  repeats_.say();
}

void Service::say_ready() {
  notify_.ready("targets: " + std::to_string(gate_.config().targets.size()) +
                ", sockets: " + std::to_string(doors_.size()));
}

void Service::reload() {
  if (stopping_) return;
  notify_.reloading();
  const std::vector<std::string> mistakes = try_reload();
  for (const std::string& mistake : mistakes) {
    log_.line(Level::error, "reload-failed").with("reason", mistake);
  }
  if (mistakes.empty()) log_.line(Level::info, "reloaded");
  say_ready();
}

// What has been opened for all of the process, or given up by it, is not to be had again.
std::vector<std::string> Service::cannot_change(const Reading& next) const {
  const conf::Config& now = gate_.config();
  std::vector<std::string> out;
  if (next.config.control.path != now.control.path ||
      !conf::same_but_for_place(next.config.metrics, now.metrics)) {
    out.emplace_back("[control] and [metrics] are what they were until the gate starts again");
  }
  for (const auto& door : doors_) {
    const auto same = [&](const conf::Listen& one) { return one.path == door->listen().path; };
    if (!door->must_stay() || std::ranges::any_of(next.config.listen, same)) continue;
    out.push_back("passed by the service manager, but no [[listen]] has that path any more: " +
                  door->listen().path);
  }
  if (const auto more = beyond(held_, next.needs)) {
    out.push_back("the gate has given up " + *more + " when it started, and must start again");
  }
  return out;
}

std::vector<std::string> Service::try_reload() {
  auto next = read_again_();
  if (!next) return next.error();
  if (auto wrong = cannot_change(*next); !wrong.empty()) return wrong;
  auto sink = audit_sink(next->config.audit);
  if (!sink) return {sink.error()};
  const std::vector<conf::Listen>& listen = next->config.listen;
  std::vector<std::unique_ptr<Door>> fresh(listen.size());
  for (std::size_t i = 0; i < listen.size(); ++i) {
    const auto can_be = [&](const auto& door) { return door->can_be(listen[i]); };
    if (std::ranges::any_of(doors_, can_be)) continue;
    const auto same_path = [&](const auto& door) { return door->listen().path == listen[i].path; };
    if (std::ranges::any_of(doors_, same_path)) {
      return {"the socket " + listen[i].path +
              " is open already; another mode, group or protocol needs a new start"};
    }
    auto door = new_door(listen[i]);
    if (!door) return {door.error()};
    fresh[i] = std::move(*door);
  }
  for (std::size_t i = 0; i < listen.size(); ++i) {
    if (fresh[i] == nullptr) {
      fresh[i] = std::move(*std::ranges::find_if(
          doors_, [&](const auto& door) { return door && door->can_be(listen[i]); }));
    }
    fresh[i]->become(i, listen[i]);
  }
  doors_ = std::move(fresh);
  audit_.redirect(std::move(*sink), next->config.audit.calls);
  gate_.reload(std::move(next->config), std::move(next->libvirt_conf));
  return {};
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
