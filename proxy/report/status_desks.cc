#include "proxy/report/status_desks.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include <unistd.h>

#include "policy/http.h"
#include "proxy/report/metrics.h"
#include "proxy/report/status_json.h"
#include "proxy/report/textfile.h"
#include "tunnel/io/listener.h"

namespace proxy {

using policy::HttpAnswer;

namespace {

HttpAnswer not_here() {
  return policy::http_text(policy::http::kNotFound, "there is nothing of this name here");
}

HttpAnswer metrics_answer(const Snapshot& snapshot, std::string_view accept) {
  const MetricsFormat format = wanted_format(accept);
  return {policy::http::kOk, std::string(content_type(format)), metrics_text(snapshot, format)};
}

class Door : protected tunnel::io::ListenerOwner {
 public:
  Door(HttpDesk& desk, Log& log, std::string name)
      : desk_(desk), log_(log), name_(std::move(name)) {}
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() override = default;

 protected:
  void on_accept(std::unique_ptr<tunnel::io::Stream> stream,
                 const tunnel::io::Peer& peer) override {
    desk_.accept(std::move(stream), peer);
  }
  void on_accept_failed(const std::string& text) override {
    log_.line(Level::error, "accept-failed").with("socket", name_).with("reason", text);
  }

  HttpDesk& desk_;
  Log& log_;
  const std::string name_;
};

}  // namespace

class StatusDesks::LocalDoor final : public Door {
 public:
  LocalDoor(tunnel::io::Loop& loop, std::unique_ptr<tunnel::io::LocalSocket> socket, HttpDesk& desk,
            const Gate& gate, Log& log, bool insiders_only)
      : Door(desk, log, socket->name()),
        gate_(gate),
        insiders_only_(insiders_only),
        listener_(loop, std::move(socket), static_cast<ListenerOwner&>(*this)) {}

 private:
  // Everybody can connect in the abstract namespace, and where there is a group.
  void on_accept(std::unique_ptr<tunnel::io::Stream> stream,
                 const tunnel::io::Peer& peer) override {
    if (insiders_only_ && !gate_.is_insider(peer)) {
      log_.audit(Level::warning, "control-refused")
          .with("uid", static_cast<std::int64_t>(peer.uid))
          .with("pid", static_cast<std::int64_t>(peer.pid));
      return;
    }
    Door::on_accept(std::move(stream), peer);
  }

  const Gate& gate_;
  const bool insiders_only_;
  tunnel::io::Listener listener_;
};

class StatusDesks::Port final : public Door {
 public:
  Port(tunnel::io::Loop& loop, std::unique_ptr<tunnel::io::TcpSocket> socket, HttpDesk& desk,
       Log& log, const std::string& name)
      : Door(desk, log, name),
        listener_(loop, std::move(socket), static_cast<ListenerOwner&>(*this)) {}

 private:
  tunnel::io::TcpListener listener_;
};

StatusDesks::StatusDesks(tunnel::io::Loop& loop, const Gate& gate, StatusService& service, Log& log,
                         std::string control)
    : loop_(loop),
      gate_(gate),
      service_(service),
      log_(log),
      control_path_(std::move(control)),
      started_(static_cast<std::uint64_t>(std::time(nullptr))),
      control_(loop.clock(), std::bind_front(&StatusDesks::answer_control, this),
               std::bind_front(&StatusDesks::answer_order, this)),
      metrics_(loop.clock(), std::bind_front(&StatusDesks::answer_metrics, this)),
      port_metrics_(loop.clock(), std::bind_front(&StatusDesks::answer_metrics, this)),
      textfile_(loop.clock(), [this] { write_textfile(); }) {}

StatusDesks::~StatusDesks() = default;

Snapshot StatusDesks::snapshot() const {
  Snapshot out = gate_.snapshot();
  out.started = started_;
  out.pid = static_cast<std::uint64_t>(::getpid());
  service_.describe(out);
  return out;
}

HttpAnswer StatusDesks::answer_control(std::string_view path, std::string_view accept) const {
  if (path == "/status.json") return {policy::http::kOk, "application/json", to_json(snapshot())};
  return answer_metrics(path, accept);
}

HttpAnswer StatusDesks::answer_metrics(std::string_view path, std::string_view accept) const {
  return path == "/metrics" ? metrics_answer(snapshot(), accept) : not_here();
}

void StatusDesks::answer_order(std::string_view path, const tunnel::io::Peer& peer,
                               const HttpDesk::Respond& respond) {
  if (path != "/reload") return respond(not_here());
  if (peer.uid != 0 && peer.uid != ::geteuid()) {
    return respond(policy::http_text(policy::http::kForbidden,
                                     "only the gate's own user and root may ask for it"));
  }
  service_.reload([respond](const Reloaded& done) {
    respond({policy::http::kOk, "application/json", to_json(done)});
  });
}

void StatusDesks::fail(const std::string& reason) {
  log_.line(Level::error, "listen-failed").with("reason", reason);
  problems_.push_back(reason);
}

void StatusDesks::open() {
  open_control();
  open_metrics();
  if (!gate_.config().metrics.textfile.empty()) write_textfile();
}

// Whoever may connect is looked at when they do: a group is not to be given away without a right
// that the service does not have.
void StatusDesks::open_control() {
  if (control_path_.empty()) return;
  const mode_t mode = gate_.config().control.group ? 0666 : 0600;
  auto bound = tunnel::io::LocalSocket::bind({control_path_, mode, {}});
  if (!bound) {
    if (!gate_.config().control.path.empty()) return fail(bound.error());
    log_.line(Level::warning, "no-control").with("reason", bound.error());
    return;
  }
  doors_.push_back(
      std::make_unique<LocalDoor>(loop_, std::move(bound).value(), control_, gate_, log_, true));
  log_.line(Level::info, "control").with("socket", control_path_);
}

void StatusDesks::open_metrics() {
  const conf::Metrics& wanted = gate_.config().metrics;
  if (!wanted.socket.empty()) {
    auto bound = tunnel::io::LocalSocket::bind({wanted.socket, wanted.mode, wanted.group});
    if (bound) {
      doors_.push_back(std::make_unique<LocalDoor>(loop_, std::move(bound).value(), metrics_, gate_,
                                                   log_, false));
      log_.line(Level::info, "metrics").with("socket", wanted.socket);
    } else {
      fail(bound.error());
    }
  }
  if (wanted.host.empty()) return;
  auto bound = tunnel::io::TcpSocket::bind(wanted.host, wanted.port);
  if (!bound) return fail(bound.error());
  const std::string name = wanted.host + " port " + std::to_string(wanted.port);
  port_ = std::make_unique<Port>(loop_, std::move(bound).value(), port_metrics_, log_, name);
  log_.line(Level::info, "metrics").with("socket", name);
}

void StatusDesks::write_textfile() {
  const conf::Metrics& wanted = gate_.config().metrics;
  const auto problem =
      replace_file(wanted.textfile, metrics_text(snapshot(), MetricsFormat::prometheus));
  if (problem && !textfile_failed_) {
    log_.line(Level::error, "textfile-failed").with("reason", *problem);
  }
  textfile_failed_ = problem.has_value();
  textfile_.start(wanted.interval);
}

void StatusDesks::close(std::function<void()> closed) {
  doors_.clear();
  port_.reset();
  textfile_.stop();
  control_.close([this, closed = std::move(closed)] {
    metrics_.close([this, closed] { port_metrics_.close(closed); });
  });
}

std::string control_path(const conf::Config& config, const std::string& default_folder) {
  if (!config.control.path.empty()) return config.control.path;
  std::string first;
  for (const conf::Listen& listen : config.listen) {
    if (listen.path.starts_with('@')) continue;
    if (listen.path.substr(0, listen.path.rfind('/')) == default_folder) {
      return default_folder + "/control";
    }
    if (first.empty()) first = listen.path + ".control";
  }
  return first;
}

}  // namespace proxy
