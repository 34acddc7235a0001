#include "proxy/report/status_desks.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <memory>
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

constexpr tunnel::io::Milliseconds kLate{10000};

HttpAnswer not_here() {
  return policy::http_text(policy::http::kNotFound, "there is nothing of this name here");
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

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool in_place() const { return listener_.socket().in_place(); }

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

StatusDesks::StatusDesks(tunnel::io::Loop& loop, Gate& gate, StatusService& service, Log& log,
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
      survey_(loop.clock(), [this] { go_on_surveying(); }),
      textfile_(loop.clock(), [this] { write_textfile(); }),
      textfile_late_(loop.clock(),
                     [this] {
                       say_textfile_failed(gate_.config().metrics.textfile +
                                           " kept us waiting for more than " +
                                           std::to_string(kLate.count()) + " ms");
                     }),
      aside_(loop) {}

StatusDesks::~StatusDesks() = default;

void StatusDesks::survey(std::function<void(Snapshot)> taken) {
  surveys_.push_back({{}, std::move(taken)});
  if (!survey_.running()) survey_.start(tunnel::io::Milliseconds(0));
}

void StatusDesks::go_on_surveying() {
  Asked& next = surveys_.front();
  if (!gate_.survey(next.survey)) return survey_.start(tunnel::io::Milliseconds(0));
  Snapshot found = std::move(next.survey.found);
  found.started = started_;
  found.pid = static_cast<std::uint64_t>(::getpid());
  service_.describe(found);
  const auto taken = std::move(next.taken);
  surveys_.pop_front();
  if (!surveys_.empty()) survey_.start(tunnel::io::Milliseconds(0));
  taken(std::move(found));
}

void StatusDesks::answer_control(std::string_view path, std::string_view accept,
                                 const HttpDesk::Respond& respond) {
  if (path == "/status.json") return ask(Form::status, respond);
  answer_metrics(path, accept, respond);
}

void StatusDesks::answer_metrics(std::string_view path, std::string_view accept,
                                 const HttpDesk::Respond& respond) {
  if (path != "/metrics") return respond(not_here());
  const bool open = wanted_format(accept) == MetricsFormat::openmetrics;
  ask(open ? Form::openmetrics : Form::prometheus, respond);
}

HttpAnswer StatusDesks::written(Form form, const Snapshot& snapshot) {
  if (form == Form::status) return {policy::http::kOk, "application/json", to_json(snapshot)};
  const MetricsFormat format =
      form == Form::openmetrics ? MetricsFormat::openmetrics : MetricsFormat::prometheus;
  return {policy::http::kOk, std::string(content_type(format)), metrics_text(snapshot, format)};
}

void StatusDesks::ask(Form form, HttpDesk::Respond respond) {
  asked_.emplace_back(form, std::move(respond));
  if (!writing_) write_next();
}

// A text of thousands of targets takes long to write, so a thread does it, one at a time: all who
// have asked for the same by the time that it is begun get the same.
void StatusDesks::write_next() {
  writing_ = !asked_.empty();
  if (!writing_) return;
  const Form form = asked_.front().first;
  std::vector<HttpDesk::Respond> waiting;
  std::erase_if(asked_, [&](auto& one) {
    if (one.first != form) return false;
    waiting.push_back(std::move(one.second));
    return true;
  });
  survey([this, form, waiting = std::move(waiting)](Snapshot snapshot) {
    write(form, std::move(snapshot), waiting);
  });
}

void StatusDesks::write(Form form, Snapshot snapshot, const std::vector<HttpDesk::Respond>& to) {
  struct Work {
    Form form;
    std::vector<HttpDesk::Respond> waiting;
    std::function<void(Snapshot&)> look;
    std::optional<Snapshot> snapshot;
    std::optional<HttpAnswer> answer;
  };
  const auto work =
      std::make_shared<Work>(Work{form, to, service_.looks(), std::move(snapshot), {}});
  aside_.run(
      [work] {
        work->look(*work->snapshot);
        work->answer = written(work->form, *work->snapshot);
        // To free it takes long, too.
        work->snapshot.reset();
      },
      [this, work] {
        if (!work->answer) work->answer = written(work->form, *work->snapshot);
        for (const auto& respond : work->waiting) respond(*work->answer);
        write_next();
      });
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

void StatusDesks::opened(std::string_view event, const std::string& name) {
  missing_.erase(name);
  log_.line(Level::info, event).with("socket", name);
}

void StatusDesks::fail(const std::string& name, const std::string& reason) {
  std::string& known = missing_[name];
  if (known == reason) return;
  known = reason;
  log_.line(Level::error, "listen-failed").with("reason", reason);
}

std::vector<std::string> StatusDesks::problems() const {
  std::vector<std::string> out;
  out.reserve(missing_.size());
  for (const auto& [name, why] : missing_) out.push_back(why);
  return out;
}

void StatusDesks::open() {
  open_missing();
  opened_ = true;
  if (!gate_.config().metrics.textfile.empty()) write_textfile();
}

bool StatusDesks::look(bool missing) {
  const auto before = missing_;
  const std::size_t gone = std::erase_if(doors_, [this](const auto& door) {
    if (door->in_place()) return false;
    log_.line(Level::warning, "socket-gone").with("socket", door->name());
    return true;
  });
  if (gone > 0 || missing) open_missing();
  return missing_ != before;
}

void StatusDesks::open_missing() {
  if (!control_path_.empty() && !has(control_path_)) open_control();
  const conf::Metrics& wanted = gate_.config().metrics;
  if (!wanted.socket.empty() && !has(wanted.socket)) open_socket();
  if (!wanted.host.empty() && port_ == nullptr) open_port();
}

bool StatusDesks::has(const std::string& socket) const {
  return std::ranges::any_of(doors_, [&](const auto& door) { return door->name() == socket; });
}

// Whoever may connect is looked at when they do: a group is not to be given away without a right
// that the service does not have.
void StatusDesks::open_control() {
  const mode_t mode = gate_.config().control.group ? 0666 : 0600;
  auto bound = tunnel::io::LocalSocket::bind({control_path_, mode, {}, false, !opened_});
  if (!bound) {
    if (!gate_.config().control.path.empty()) return fail(control_path_, bound.error());
    if (std::exchange(no_control_, bound.error()) == bound.error()) return;
    log_.line(Level::warning, "no-control").with("reason", bound.error());
    return;
  }
  doors_.push_back(
      std::make_unique<LocalDoor>(loop_, std::move(bound).value(), control_, gate_, log_, true));
  no_control_.clear();
  opened("control", control_path_);
}

void StatusDesks::open_socket() {
  const conf::Metrics& wanted = gate_.config().metrics;
  auto bound =
      tunnel::io::LocalSocket::bind({wanted.socket, wanted.mode, wanted.group, false, !opened_});
  if (!bound) return fail(wanted.socket, bound.error());
  doors_.push_back(
      std::make_unique<LocalDoor>(loop_, std::move(bound).value(), metrics_, gate_, log_, false));
  opened("metrics", wanted.socket);
}

void StatusDesks::open_port() {
  const conf::Metrics& wanted = gate_.config().metrics;
  const std::string name = wanted.host + " port " + std::to_string(wanted.port);
  auto bound = tunnel::io::TcpSocket::bind(wanted.host, wanted.port);
  if (!bound) return fail(name, bound.error());
  port_ = std::make_unique<Port>(loop_, std::move(bound).value(), port_metrics_, log_, name);
  opened("metrics", name);
}

void StatusDesks::write_textfile() {
  survey([this](Snapshot snapshot) { write_textfile(std::move(snapshot)); });
}

void StatusDesks::write_textfile(Snapshot snapshot) {
  struct Work {
    std::string path;
    std::optional<Snapshot> snapshot;
    std::optional<std::string> problem = "there is no thread to write it";
  };
  const auto work =
      std::make_shared<Work>(Work{gate_.config().metrics.textfile, std::move(snapshot)});
  textfile_late_.start(kLate);
  aside_.run(
      [work] {
        const std::string text = metrics_text(*work->snapshot, MetricsFormat::prometheus);
        work->snapshot.reset();
        work->problem = replace_file(work->path, text);
      },
      [this, work] { have_written_textfile(work->problem); });
}

// One that hangs is followed by none.
void StatusDesks::have_written_textfile(const std::optional<std::string>& problem) {
  textfile_late_.stop();
  if (problem) say_textfile_failed(*problem);
  textfile_failed_ = problem.has_value();
  if (!closing_) textfile_.start(gate_.config().metrics.interval);
}

void StatusDesks::say_textfile_failed(const std::string& why) {
  if (std::exchange(textfile_failed_, true)) return;
  log_.line(Level::error, "textfile-failed").with("reason", why);
}

void StatusDesks::close(std::function<void()> closed) {
  closing_ = true;
  doors_.clear();
  port_.reset();
  survey_.stop();
  surveys_.clear();
  textfile_.stop();
  textfile_late_.stop();
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
