#include "proxy/service/service.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <utility>

#include <sys/stat.h>

#include "base/fd.h"
#include "base/file.h"
#include "proxy/service/doubts.h"
#include "tunnel/io/listener.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/tunnel.h"

namespace proxy {
namespace {

// What closing the upstreams may take when the clients have gone.
constexpr tunnel::io::Milliseconds kAfterDrain{20000};
// Between two tries of what could not be had.
constexpr tunnel::io::Milliseconds kTryAgain{30000};
// Between two looks at the files of the sockets.
constexpr tunnel::io::Milliseconds kLook{5000};
// How long the control socket waits for the reader of a reload's answer.
constexpr tunnel::io::Milliseconds kLastWord{500};
constexpr const char* kNotConfigured = "this gate is not configured";

// "16:20", as people here have it.
std::string time_of_day(std::time_t when) {
  std::tm parts{};
  std::array<char, 16> text{};
  if (localtime_r(&when, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%H:%M", &parts)};
}

std::vector<DroppedSnapshot> dropped(const DailyShares& log, const DailyShares& audit) {
  std::map<std::optional<uid_t>, DroppedSnapshot> users;
  for (const auto& [uid, count] : log.dropped()) users[uid].log = count;
  for (const auto& [uid, count] : audit.dropped()) users[uid].audit = count;
  std::vector<DroppedSnapshot> out;
  out.reserve(users.size());
  for (auto& [uid, one] : users) {
    one.others = !uid;
    one.uid = uid.value_or(0);
    out.push_back(one);
  }
  return out;
}

policy::Fault closed(std::string text, const char* plain) {
  return {policy::ErrorCode::no_connect, policy::ErrorDomain::rpc, std::move(text), true, plain};
}

}  // namespace

// One of the gate's sockets.
class Service::Door final : private tunnel::io::ListenerOwner {
 public:
  Door(tunnel::io::Loop& loop, std::unique_ptr<tunnel::io::LocalSocket> socket, Gate& gate,
       Log& log, const Headroom& headroom, bool passed)
      : gate_(gate),
        log_(log),
        headroom_(headroom),
        passed_(passed),
        listener_(loop, std::move(socket), *this) {
    listen_.path = listener_.socket().name();
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  // Whoever has been taken from the system's queue is let in.
  ~Door() override { listener_.take_all(); }

  [[nodiscard]] const conf::Listen& listen() const { return listen_; }
  // A socket that was passed to us has the access that its maker gave it, and one whose file is
  // gone is of no use to anybody.
  [[nodiscard]] bool can_be(const conf::Listen& next) const {
    if (next.path != listen_.path) return false;
    if (passed_) return !number_ || next.xen_proxy == listen_.xen_proxy;
    return in_place() && next.xen_proxy == listen_.xen_proxy && next.mode == listen_.mode &&
           next.group == listen_.group;
  }
  [[nodiscard]] bool in_place() const { return listener_.socket().in_place(); }
  // Its maker goes on listening there, and nobody would take who connects.
  [[nodiscard]] bool must_stay() const { return passed_; }
  [[nodiscard]] bool serves() const { return number_.has_value(); }
  // Clients come in by this number of the gate's listeners from now on.
  void become(std::size_t number, const conf::Listen& listen) {
    number_ = number;
    listen_ = listen;
  }
  // Clients are answered with this from now on.
  void refuse(policy::Fault why) {
    number_.reset();
    why_ = std::move(why);
  }

 private:
  [[nodiscard]] tunnel::io::Standing standing(uid_t uid) const override {
    tunnel::io::Standing out = gate_.standing(uid);
    out.most_waiting = std::min(out.most_waiting, headroom_.newcomers());
    return out;
  }
  void on_left(uid_t) override { gate_.count_left(); }
  void on_turned_away(uid_t user) override { gate_.count_turned_away(user); }
  void on_accept(std::unique_ptr<tunnel::io::Stream> stream,
                 const tunnel::io::Peer& peer) override {
    std::optional<std::string> refusal;
    if (!headroom_.ok() || listener_.is_short()) refusal = headroom_.refusal();
    if (number_) return gate_.accept(std::move(stream), peer, *number_, {}, std::move(refusal));
    gate_.turn_away(std::move(stream), peer, why_);
  }
  void on_accept_failed(const std::string& text) override {
    log_.line(Level::error, "accept-failed")
        .with("socket", listener_.socket().name())
        .with("reason", text);
  }

  Gate& gate_;
  conf::Listen listen_;
  std::optional<std::size_t> number_;
  policy::Fault why_;
  Log& log_;
  const Headroom& headroom_;
  const bool passed_;
  tunnel::io::Listener listener_;
};

Service::Service(Log& log, std::shared_ptr<AuditFile> audit, const Reading& reading, Source source,
                 std::vector<std::string> mistakes)
    : log_(log),
      headroom_(loop_),
      aside_(loop_),
      notify_(loop_.clock()),
      bounded_(loop_.clock(), log, reading.config.limits.user_log),
      repeats_(loop_.clock(), bounded_),
      audit_file_(std::move(audit)),
      audit_(loop_.clock(), repeats_, local_user_names(), audit_file_, reading.config.audit.calls,
             reading.config.limits.user_audit),
      logins_(loop_),
      sasl_(read_auth_conf, in_threads(logins_)),
      gate_(loop_.clock(), audit_, sasl_, reading.config, reading.libvirt_conf,
            [this, environment = tunnel::ssh::current_environment()](const tunnel::Target& target) {
              const auto note = [this](const std::string& text) {
                repeats_.line(Level::warning, "tunnel").with("note", text);
              };
              return tunnel::make_tunnel(loop_, target, note, environment);
            }),
      status_(loop_, gate_, static_cast<StatusService&>(*this), audit_, reading.control),
      source_(std::move(source)),
      mistakes_(std::move(mistakes)),
      patience_(loop_.clock(), [this] { have_read(std::nullopt); }),
      again_(loop_.clock(), [this] { try_again(); }),
      look_(loop_.clock(), [this] { look_after_doors(); }),
      leave_(loop_.clock(), [this] { stop(); }) {
  remember(reading);
}

Service::~Service() = default;

void Service::remember(const Reading& reading) {
  Identities identities = reading.identities;
  if (first_) identities.keep_map(*first_);
  if (!first_) first_ = identities;
  gate_.identify_by(std::move(identities));
  lapsed_ = reading.lapsed;
  warnings_ = reading.warnings;
  stamps_ = reading.stamps;
  if (mistakes_.empty()) read_at_ = std::time(nullptr);
}

bool Service::open_doors() {
  for (const int signal : {SIGTERM, SIGINT}) {
    loop_.on_signal(signal, [this] { stop(); });
  }
  loop_.on_signal(SIGHUP, [this] { reload([](const Reloaded&) {}); });
  PassedSockets passed = PassedSockets::take();
  passed_wrong_ = passed.wrong();
  for (std::size_t i = 0; i < gate_.config().listen.size(); ++i) open_door(i, passed);
  for (PassedSocket& one : passed.rest()) close_door(std::move(one));
  if (doors_.empty()) {
    for (const std::string& problem : not_in_force()) {
      log_.line(Level::error, "start-failed").with("reason", problem);
    }
    return false;
  }
  status_.open();
  say_problems();
  look_.start(kLook);
  return true;
}

void Service::open_door(std::size_t number, PassedSockets& passed) {
  const conf::Listen& listen = gate_.config().listen[number];
  PassedSocket from = passed.claim(listen.path);
  if (from.socket != nullptr) {
    doors_.push_back(
        std::make_unique<Door>(loop_, std::move(from.socket), gate_, log_, headroom_, true));
  } else {
    auto door = new_door(listen);
    if (!door) {
      no_door_[listen.path] = door.error();
      return;
    }
    doors_.push_back(std::move(*door));
  }
  doors_.back()->become(number, listen);
  look_at(*doors_.back());
  Line line = log_.line(Level::info, "listen");
  line.with("socket", listen.path).with("target", listen.target.empty() ? "-" : listen.target);
  if (!from.name.empty()) line.with("passed_as", from.name);
}

void Service::close_door(PassedSocket from) {
  std::string problem;
  if (mistakes_.empty()) {
    // The name is the instance's where the unit is ours.
    const std::string path = from.socket->name();
    problem = "the service manager passed " + path + " (" + from.name +
              "), which no [[listen]] serves: add one, or systemctl disable --now virtgate@" +
              from.name + ".socket";
  }
  doors_.push_back(
      std::make_unique<Door>(loop_, std::move(from.socket), gate_, log_, headroom_, true));
  refuse_at(*doors_.back(), std::move(problem));
}

// Without a problem: there is no configuration.
void Service::refuse_at(Door& door, std::string problem) {
  if (problem.empty()) {
    door.refuse(closed(std::string(kNotConfigured) + ": " +
                           (mistakes_.empty() ? std::string("no reason known") : mistakes_.front()),
                       kNotConfigured));
    return;
  }
  door.refuse(closed(problem, "nothing is served on this socket"));
  odd_doors_[door.listen().path] = std::move(problem);
}

base::Result<std::unique_ptr<Service::Door>, std::string> Service::new_door(
    const conf::Listen& listen) {
  auto bound = tunnel::io::LocalSocket::bind(
      {listen.path, listen.mode, listen.group, listen.xen_proxy.has_value(), !running_});
  if (!bound) return base::Failure{bound.error()};
  return std::make_unique<Door>(loop_, std::move(*bound), gate_, log_, headroom_, false);
}

// Where what the configuration says of a socket is not so, because somebody else has made it.
void Service::look_at(const Door& door) {
  const conf::Listen& listen = door.listen();
  odd_doors_.erase(listen.path);
  modes_.erase(listen.path);
  if (!door.must_stay() || listen.path.starts_with('@')) return;
  struct stat file {};
  if (::stat(listen.path.c_str(), &file) != 0) {
    odd_doors_[listen.path] = "clients cannot find " + listen.path + ": " +
                              base::system_words(errno) + "; restart the socket unit that made it";
    return;
  }
  const mode_t mode = file.st_mode & 0777U;
  modes_[listen.path] = mode;
  std::string other;
  if (listen.mode != conf::Listen{}.mode && listen.mode != mode) {
    other = "mode \"" + base::mode_text(listen.mode) + "\" is ignored";
  } else if (listen.group && *listen.group != file.st_gid) {
    other = "group is ignored";
  }
  if (other.empty()) return;
  odd_doors_[listen.path] = "socket " + listen.path + ": " + other +
                            ", because the service manager made it, with mode " +
                            base::mode_text(mode) +
                            "; set SocketMode= and SocketGroup= by systemctl edit, and restart the "
                            "socket unit";
}

std::vector<std::string> Service::not_in_force() const {
  std::vector<std::string> out;
  out.reserve(mistakes_.size() + passed_wrong_.size() + no_door_.size());
  for (const std::string& mistake : mistakes_) {
    out.push_back(std::string(kNotConfigured) + ": " + mistake);
  }
  out.insert(out.end(), lapsed_.begin(), lapsed_.end());
  out.insert(out.end(), passed_wrong_.begin(), passed_wrong_.end());
  for (const auto& [path, why] : no_door_) out.push_back(why);
  for (const auto& [path, why] : odd_doors_) out.push_back(why);
  const std::vector<std::string> desks = status_.problems();
  out.insert(out.end(), desks.begin(), desks.end());
  return out;
}

std::vector<std::string> Service::warnings() const {
  std::vector<std::string> out = warnings_;
  const auto open = open_to_everybody(gate_.config(), [this](const conf::Listen& listen) {
    const auto made = modes_.find(listen.path);
    return made == modes_.end() ? listen.mode : made->second;
  });
  for (const conf::Mistake& one : open) out.push_back(conf::to_string(one));
  return out;
}

void Service::say_problems() {
  for (const std::string& problem : not_in_force()) {
    log_.line(Level::warning, "degraded").with("reason", problem);
  }
  for (const std::string& warning : warnings()) {
    log_.line(Level::warning, "configuration-warning").with("reason", warning);
  }
  again_.stop();
  if (!mistakes_.empty() || !no_door_.empty() || !status_.problems().empty()) {
    again_.start(kTryAgain);
  }
}

void Service::measure(tunnel::io::Milliseconds longest_turn) {
  loop_.measure(longest_turn, [this](const tunnel::io::LongTurn& turn) {
    log_.line(Level::warning, "long-turn")
        .with("worked_ms", turn.worked.count())
        .with("waited_ms", turn.waited.count())
        .with("longest", turn.longest)
        .with("longest_ms", turn.longest_took.count());
  });
}

Service::End Service::run(Confinement held) {
  held_ = std::move(held);
  running_ = true;
  say_state();
  loop_.run();
  audit_.say_suppressed();
  audit_.finish();
  repeats_.say();
  return end_;
}

void Service::say_state() {
  std::string status = "targets: " + std::to_string(gate_.config().targets.size()) + ", sockets: " +
                       std::to_string(gate_.config().listen.size() - no_door_.size());
  if (const auto all = warnings(); !all.empty()) {
    status += ", warnings: " + std::to_string(all.size());
  }
  if (const auto all = not_in_force(); !all.empty()) {
    status = "degraded: " + all.front() +
             (all.size() > 1 ? " (and " + std::to_string(all.size() - 1) + " more)" : "");
  }
  if (!reload_mistakes_.empty() && read_at_ != 0) {
    status = "running the configuration of " + time_of_day(read_at_) +
             "; reload failed: " + reload_mistakes_.front();
  }
  notify_.ready(status);
}

void Service::describe(Snapshot& to) const {
  to.problems = not_in_force();
  to.warnings = warnings();
  to.configuration.read = static_cast<std::uint64_t>(read_at_);
  to.configuration.reload_failed = static_cast<std::uint64_t>(reload_failed_at_);
  to.configuration.mistakes = reload_mistakes_;
  to.log_lost = log_.lost();
  to.audit_lost = audit_.lost();
  to.dropped = dropped(bounded_.shares(), audit_.shares());
}

std::function<void(Snapshot&)> Service::looks() const {
  return [stamps = source_.stamps, then = stamps_](Snapshot& to) {
    to.configuration.other_on_disk = stamps() != then;
  };
}

void Service::reload(Done done) {
  if (stopping_ || end_ == End::configured) return done({{"the gate stops"}, {}, {}});
  if (reading_ != 0) {
    behind_.push_back(std::move(done));
    return;
  }
  waiting_.push_back(std::move(done));
  read_again();
}

Service::Fresh Service::fresh(const Source& source) {
  Fresh out{source.read(), nullptr};
  if (!out.reading) return out;
  auto audit = AuditFile::open(out.reading->config.audit);
  if (audit) {
    out.audit = std::move(*audit);
  } else {
    out.reading = base::Failure{std::vector<std::string>{audit.error()}};
  }
  return out;
}

// Names of users and groups are looked up in it, and files opened, which may take as long as they
// like.
void Service::read_again() {
  notify_.reloading();
  reading_ = ++attempts_;
  const auto next = std::make_shared<std::optional<Fresh>>();
  patience_.start(kReadPatience);
  aside_.run([next, source = source_] { *next = fresh(source); },
             [this, next, number = reading_] {
               if (number == reading_) have_read(std::move(*next));
             });
}

// Nothing: it has not been read in time.
void Service::have_read(std::optional<Fresh> next) {
  reading_ = 0;
  patience_.stop();
  Reloaded outcome;
  if (stopping_) {
    outcome.mistakes = {"the gate stops"};
  } else if (!next) {
    outcome.mistakes = {"it was not read within " + std::to_string(kReadPatience.count() / 1000) +
                        " s; do look-ups of users and groups hang, or a file system?"};
  } else if (!next->reading) {
    outcome.mistakes = next->reading.error();
  } else {
    outcome.mistakes = take(std::move(*next));
  }
  if (!stopping_) {
    for (const std::string& mistake : outcome.mistakes) {
      log_.line(Level::error, "reload-failed").with("reason", mistake);
    }
    if (outcome.mistakes.empty()) log_.line(Level::info, "reloaded");
    reload_mistakes_ = outcome.mistakes;
    reload_failed_at_ = outcome.mistakes.empty() ? 0 : std::time(nullptr);
    say_problems();
    say_state();
  }
  outcome.problems = not_in_force();
  outcome.warnings = warnings();
  for (const Done& done : std::exchange(waiting_, {})) done(outcome);
  if (behind_.empty()) return;
  waiting_ = std::exchange(behind_, {});
  if (stopping_) {
    for (const Done& done : std::exchange(waiting_, {})) done(outcome);
    return;
  }
  read_again();
}

// What has been opened for all of the process, or given up by it, is not to be had again.
std::vector<std::string> Service::cannot_change(const Reading& next) const {
  const conf::Config& now = gate_.config();
  std::vector<std::string> out;
  if (next.config.control.path != now.control.path ||
      next.config.control.group != now.control.group ||
      !conf::same_but_for_position(next.config.metrics, now.metrics)) {
    out.emplace_back("another [control] or [metrics] needs a restart: systemctl restart virtgate");
  }
  if (const auto more = beyond(held_, next.needs)) {
    out.push_back(*more +
                  " needs a restart (the sandbox is fixed at start): systemctl restart virtgate");
  }
  return out;
}

std::vector<std::string> Service::take(Fresh fresh) {
  Reading& next = *fresh.reading;
  if (!mistakes_.empty()) {
    // The process has given up what this configuration may need, so another one takes over; the
    // sockets are the service manager's and stay.
    end_ = End::configured;
    leave_.start(kLastWord);
    return {};
  }
  if (auto wrong = cannot_change(next); !wrong.empty()) return wrong;
  if (auto wrong = move_doors(next.config.listen); !wrong.empty()) return wrong;
  if (fresh.audit != nullptr && audit_file_ != nullptr) fresh.audit->follow(*audit_file_);
  audit_file_ = std::move(fresh.audit);
  audit_.redirect(audit_file_, next.config.audit.calls);
  audit_.set_share(next.config.limits.user_audit);
  bounded_.set_share(next.config.limits.user_log);
  remember(next);
  gate_.reload(std::move(next.config), std::move(next.libvirt_conf));
  return {};
}

// Every socket is there afterwards that can be, or, with a reason, all are as before.
std::vector<std::string> Service::move_doors(const std::vector<conf::Listen>& listen) {
  std::vector<std::unique_ptr<Door>> fresh(listen.size());
  std::map<std::string, std::string> missing;
  for (std::size_t i = 0; i < listen.size(); ++i) {
    const auto can_be = [&](const auto& door) { return door->can_be(listen[i]); };
    if (std::ranges::any_of(doors_, can_be)) continue;
    const auto blocks = [&](const auto& door) {
      return door->listen().path == listen[i].path && door->in_place();
    };
    if (std::ranges::any_of(doors_, blocks)) {
      return {"the socket " + listen[i].path +
              " is open; another mode, group or protocol needs a restart"};
    }
    auto door = new_door(listen[i]);
    if (door) {
      fresh[i] = std::move(*door);
      continue;
    }
    // What is missing already may stay so; a new one that cannot be had is a mistake.
    if (!no_door_.contains(listen[i].path)) return {door.error()};
    missing[listen[i].path] = door.error();
  }
  odd_doors_.clear();
  modes_.clear();
  for (std::size_t i = 0; i < listen.size(); ++i) {
    if (fresh[i] == nullptr) {
      const auto door = std::ranges::find_if(
          doors_, [&](const auto& one) { return one && one->can_be(listen[i]); });
      if (door == doors_.end()) continue;
      fresh[i] = std::move(*door);
    }
    fresh[i]->become(i, listen[i]);
    look_at(*fresh[i]);
  }
  for (auto& door : doors_) {
    if (door == nullptr || !door->must_stay()) continue;
    const std::string path = door->listen().path;
    refuse_at(*door, "the service manager passed " + path +
                         ", which no [[listen]] serves: add one, or disable the socket unit");
    fresh.push_back(std::move(door));
  }
  std::erase(fresh, nullptr);
  doors_ = std::move(fresh);
  no_door_ = std::move(missing);
  return {};
}

// What could not be had may be there by now.
void Service::try_again() {
  if (stopping_ || reading_ != 0) return;
  if (!mistakes_.empty()) return reload([](const Reloaded&) {});
  const bool doors = open_missing_doors();
  const bool desks = status_.look(true);
  if (doors || desks) say_state();
  if (!no_door_.empty() || !status_.problems().empty()) again_.start(kTryAgain);
}

// Says whether any could be had.
bool Service::open_missing_doors() {
  const std::vector<conf::Listen>& listen = gate_.config().listen;
  bool better = false;
  for (std::size_t i = 0; i < listen.size(); ++i) {
    if (!no_door_.contains(listen[i].path)) continue;
    auto door = new_door(listen[i]);
    if (!door) {
      no_door_[listen[i].path] = door.error();
      continue;
    }
    (*door)->become(i, listen[i]);
    doors_.push_back(std::move(*door));
    no_door_.erase(listen[i].path);
    log_.line(Level::info, "listen")
        .with("socket", listen[i].path)
        .with("target", listen[i].target.empty() ? "-" : listen[i].target);
    better = true;
  }
  return better;
}

// Somebody may remove the file of a socket, by a mistake or with its folder, and nobody finds it
// any more.
void Service::look_after_doors() {
  look_.start(kLook);
  if (stopping_ || reading_ != 0 || !mistakes_.empty()) return;
  const auto odd = odd_doors_;
  for (const auto& door : doors_) {
    if (door->must_stay() && door->serves()) look_at(*door);
  }
  const bool lost = close_lost_doors();
  if (lost) open_missing_doors();
  const bool desks = status_.look(false);
  if (!lost && !desks && odd_doors_ == odd) return;
  say_problems();
  say_state();
}

bool Service::close_lost_doors() {
  const std::size_t gone = std::erase_if(doors_, [this](const auto& door) {
    if (door->must_stay() || door->in_place()) return false;
    const std::string& path = door->listen().path;
    log_.line(Level::warning, "socket-gone").with("socket", path);
    no_door_[path] = path + ": somebody removed this socket";
    return true;
  });
  return gone > 0;
}

// A second signal changes nothing: the drain has its own limit.
void Service::stop() {
  if (stopping_) return;
  stopping_ = true;
  again_.stop();
  look_.stop();
  leave_.stop();
  doors_.clear();
  notify_.stopping("waits for last calls, clients: " + std::to_string(gate_.clients()),
                   gate_.config().limits.drain_timeout + kAfterDrain);
  gate_.drain([this] {
    if (reading_ != 0) have_read(std::nullopt);
    status_.close([this] { loop_.stop(); });
  });
}

}  // namespace proxy
