#include "tunnel/ssh/connection.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/fd.h"
#include "tunnel/ssh/digest.h"
#include "tunnel/ssh/failure_text.h"

namespace tunnel::ssh {

using Kind = io::Reason::Kind;

namespace {

// The only reason for which the stream below is paused.
constexpr unsigned kUnread = 1;

// That the stream below has beyond its own deadline.
constexpr io::Milliseconds kGrace{1000};

// An alias of ssh_config(5) is no name to a resolver.
io::Reason of_lower(io::Reason reason) {
  if (reason.stage == io::Stage::look_up) {
    reason.text += " (ssh_config is not read; with command=ssh in the URI it is)";
  }
  return reason;
}

std::string within(io::Milliseconds limit) {
  return " within " + std::to_string(limit.count()) + " ms";
}

}  // namespace

Connection::Connection(io::Clock& clock, const Target& target, const Parts& parts,
                       std::function<void()> died)
    : clock_(clock),
      target_(target),
      parts_(parts),
      died_(std::move(died)),
      user_(target.user.empty() ? parts.environment.user : target.user),
      last_heard_(clock.now()),
      wake_timer_(clock, [this] { service(); }),
      deadline_(clock, [this] { deadline_passed(); }),
      idle_(clock,
            [this] {
              engine_->disconnect();
              flush();
              fail(Kind::requested, "nobody used the connection");
            }),
      keepalive_timer_(clock, [this] { keepalive(); }) {}

Connection::~Connection() = default;

void Connection::note(const std::string& text) const {
  if (parts_.notes) parts_.notes(text);
}

void Connection::start() {
  struct Read {
    HostKeyFiles files;
    std::optional<base::Result<KnownHosts, base::Problem>> known;
  };
  const auto read = std::make_shared<Read>();
  deadline_.start(target_.timeouts.handshake);
  auto reading = parts_.errand(
      [read, target = target_, environment = parts_.environment](io::Whereabouts& whereabouts) {
        read->files = host_key_files(target, environment, whereabouts);
        read->known = load_known_hosts(read->files, target.host, target.port, whereabouts);
      },
      [this, read](int error) {
        if (!read->known) return no_thread(error);
        files_read(std::move(read->files), std::move(*read->known));
      });
  if (phase_ == Phase::files && !failure_) errand_ = std::move(reading);
}

void Connection::no_thread(int error) {
  failure_ = io::Reason{Kind::exhausted, io::Stage::handshake,
                        "no thread to read known_hosts in: " + base::system_words(error)};
  wake();
}

void Connection::files_read(HostKeyFiles files, base::Result<KnownHosts, base::Problem> known) {
  errand_.reset();
  deadline_.stop();
  host_key_files_ = std::move(files);
  const auto give_up = [this](const std::string& text, Kind kind = Kind::refused) {
    failure_ = io::Reason{kind, io::Stage::handshake, text};
    wake();
  };
  if (!known) {
    return give_up("known_hosts: " + known.error().text,
                   io::kind_of(known.error().shortage, Kind::refused));
  }
  if (target_.known_hosts_verify == KnownHostsVerify::ignore && !target_.insecure) {
    return give_up(refused_unless_insecure("known_hosts_verify=ignore"));
  }
  if (user_.empty()) return give_up("no user is named, and this process runs as one without name");
  known_hosts_ = std::move(*known);
  for (const std::string& text : known_hosts_->notes()) note(text);
  engine_ = std::make_unique<Engine>(known_hosts_->types());
  phase_ = Phase::lower;
  // The stream below has deadlines of its own, and this one is for when they fail. A look-up may
  // wait for others for two of its deadlines, and then has its own.
  deadline_.start(3 * target_.timeouts.look_up + kGrace);
  lower_.open(parts_.connect(), *this);
}

bool Connection::accepts(Way::Kind kind) const {
  if (phase_ == Phase::dead || failure_ || stale_) return false;
  return !is_command(kind) || !sessions_full_;
}

Channel* Connection::open(const Way& way, ChannelOwner& owner) {
  channels_.push_back(
      std::make_unique<Channel>(clock_, way, &owner, target_.timeouts.channel, [this] { wake(); }));
  Channel* channel = channels_.back().get();
  openings_.push_back(channel);
  idle_.stop();
  if (ready()) channel->start_patience();
  wake();
  return channel;
}

void Connection::wake() {
  if (servicing_) {
    again_ = true;
  } else if (phase_ != Phase::dead && !wake_timer_.running()) {
    wake_timer_.start(io::Milliseconds(0));
  }
}

void Connection::begin(io::Stage stage, io::Milliseconds limit) {
  stage_ = stage;
  deadline_.start(limit);
  tell_stage();
}

// By index here and below: owners may open channels from their calls.
void Connection::tell_stage() {
  for (std::size_t i = 0; i < channels_.size(); ++i) channels_[i]->tell_stage(stage_);
}

void Connection::on_stage(io::Stage stage) {
  if (stage > io::Stage::connect) return;
  stage_ = stage;
  if (stage == io::Stage::connect) deadline_.start(target_.timeouts.connect + kGrace);
  tell_stage();
}

void Connection::on_open() {
  lower_open_ = true;
  phase_ = Phase::handshake;
  begin(io::Stage::handshake, target_.timeouts.handshake);
  service();
}

void Connection::on_data(base::Bytes data) {
  last_heard_ = clock_.now();
  if (phase_ != Phase::ready) {
    before_login_ += data.size();
    if (before_login_ > kMostBeforeLogin) {
      return fail(Kind::protocol, "the server sent more than " + std::to_string(kMostBeforeLogin) +
                                      " bytes before the login");
    }
  }
  engine_->receive(data);
  service();
}

void Connection::on_end() {
  engine_->receive_end();
  service();
  if (!dead()) fail(Kind::end, "the server closed the connection");
}

void Connection::on_closed(const io::Reason& reason) {
  lower_open_ = false;
  if (phase_ == Phase::lower) return fail(of_lower(reason));
  if (reason.kind == Kind::end) return on_end();
  engine_->receive_end();
  std::string text = reason.text;
  if (phase_ == Phase::handshake && !engine_->greeting().notice().empty()) {
    text += "; " + handshake_failure(*engine_);
  }
  failure_ = io::Reason{reason.kind, stage_, text};
  service();
}

void Connection::service() {
  if (dead() || servicing_) return;
  servicing_ = true;
  again_ = false;
  wake_timer_.stop();
  service_once();
  servicing_ = false;
  if (dead()) return;
  if (failure_) return fail(*failure_);
  if (phase_ == Phase::files) return;
  if (engine_->failed()) {
    return fail(engine_->cut_off() ? Kind::end : Kind::protocol, engine_->error());
  }
  flush();
  const bool full = engine_->unread() > io::Stream::kHighMark;
  if (lower_ && full != paused_) {
    paused_ = full;
    if (full) {
      lower_->pause(kUnread);
    } else {
      lower_->resume(kUnread);
    }
  }
  if (again_) wake();
}

void Connection::service_once() {
  if (phase_ == Phase::handshake) handshake();
  if (phase_ == Phase::authentication) authenticate();
  if (phase_ != Phase::ready) return;
  open_next();
  service_channels();
  if (engine_->failed()) return;
  handle_timeouts();
  sweep_channels();
}

void Connection::handshake() {
  const Engine::Step step = engine_->handshake();
  if (step == Engine::Step::pending) return;
  if (step == Engine::Step::failed) {
    const Kind kind =
        io::kind_of(engine_->shortage(), engine_->cut_off() ? Kind::end : Kind::protocol);
    if (!failure_) failure_ = io::Reason{kind, stage_, handshake_failure(*engine_)};
    return;
  }
  if (auto problem = check_host_key()) refuse_host(*problem);
}

void Connection::refuse_host(const base::Problem& problem) {
  failure_ = io::Reason{io::kind_of(problem.shortage, Kind::refused), stage_, problem.text};
}

void Connection::log_in() {
  phase_ = Phase::authentication;
  authenticator_ =
      std::make_unique<Authenticator>(*engine_, clock_, target_, parts_, user_, [this] { wake(); });
  begin(io::Stage::login, target_.timeouts.authentication);
}

std::optional<base::Problem> Connection::check_host_key() {
  const base::Bytes key = engine_->host_key();
  const HostKeyAnswer answer = known_hosts_->check(key);
  if (answer.kind == HostKeyAnswer::Kind::known) {
    log_in();
    return std::nullopt;
  }
  const std::string failure =
      host_key_failure(target_, host_key_files_, *known_hosts_, answer, key);
  if (answer.kind == HostKeyAnswer::Kind::revoked) return base::Problem{failure};
  if (target_.known_hosts_verify == KnownHostsVerify::ignore) {
    note("accepted all the same: " + failure);
    log_in();
    return std::nullopt;
  }
  if (answer.kind != HostKeyAnswer::Kind::unknown ||
      target_.known_hosts_verify != KnownHostsVerify::automatic) {
    return base::Problem{failure};
  }
  record(key);
  return std::nullopt;
}

void Connection::record(base::Bytes key) {
  phase_ = Phase::record;
  struct Recorded {
    base::Buffer key;
    std::optional<base::Problem> problem;
  };
  const auto what = std::make_shared<Recorded>(
      Recorded{base::Buffer(key.begin(), key.end()), base::Problem{"no thread to do it in", true}});
  auto recording = parts_.errand(
      [what, file = host_key_files_.record, host = target_.host,
       port = target_.port](io::Whereabouts& whereabouts) {
        whereabouts.at(file);
        what->problem = record_host_key(file, host, port, what->key);
      },
      [this, what](int) { recorded(what->problem, fingerprint(what->key)); });
  if (phase_ == Phase::record && !failure_) errand_ = std::move(recording);
}

void Connection::recorded(const std::optional<base::Problem>& problem, const std::string& print) {
  errand_.reset();
  if (problem) {
    refuse_host(
        {"the new host key " + print + " cannot be recorded: " + problem->text, problem->shortage});
  } else {
    note("recorded the new host key " + print + " in " + host_key_files_.record);
    log_in();
  }
  wake();
}

void Connection::authenticate() {
  const Engine::Step step = authenticator_->step();
  if (step == Engine::Step::pending) return;
  if (step == Engine::Step::failed) {
    const bool cut = engine_->cut_off();
    std::string text = cut ? engine_->error() + " during the ssh login as " + user_
                           : "ssh login as " + user_ + " failed";
    text += "; " + authenticator_->report();
    if (engine_->failed() && !cut) text += "; " + engine_->error();
    const Kind kind = io::kind_of(authenticator_->shortage(), cut ? Kind::end : Kind::refused);
    if (!failure_) failure_ = io::Reason{kind, stage_, text};
    return;
  }
  authenticator_.reset();
  phase_ = Phase::ready;
  for (const auto& channel : channels_) channel->start_patience();
  begin(io::Stage::channel, target_.timeouts.channel);
  deadline_.stop();
  keepalive_timer_.start(kKeepalive);
}

void Connection::open_next() {
  while (!openings_.empty() && !engine_->failed()) {
    Channel& channel = *openings_.front();
    if (channel.drop_unwanted()) {
      openings_.pop_front();
      continue;
    }
    const Engine::Step step = channel.step_opening(*engine_);
    if (step == Engine::Step::pending || engine_->failed()) return;
    openings_.pop_front();
    if (step == Engine::Step::done) {
      if (channel.forwards()) forwards_ = true;
      channel.tell_opened();
    } else {
      refused(channel);
    }
    if (openings_.empty()) run_nothing();
  }
}

void Connection::refused(Channel& channel) {
  const bool session_refused = channel.is_refused_session();
  const bool full = session_refused && sessions() > 0;
  if (full && channel.has_owner()) sessions_full_ = true;
  std::string why = engine_->error();
  if (session_refused) why = "the server refuses sessions (" + why + ")";
  channel.tell_refused(why, full);
}

// sshd sets TCP_NODELAY when the first command of a connection starts, and never for forwarded
// sockets alone; without it an answer waits 40 ms for an acknowledgement at times.
void Connection::run_nothing() {
  if (!forwards_ || ran_nothing_ || sessions() > 0) return;
  ran_nothing_ = true;
  channels_.push_back(std::make_unique<Channel>(clock_, Way{Way::Kind::helper, {}, "true", 0},
                                                nullptr, target_.timeouts.channel,
                                                [this] { wake(); }));
  openings_.push_back(channels_.back().get());
  channels_.back()->start_patience();
}

std::size_t Connection::sessions() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(channels_, [](const auto& channel) { return channel->is_session(); }));
}

void Connection::service_channels() {
  const auto busy = [this] { return below_is_busy(); };
  const std::size_t count = channels_.size();
  if (count == 0) return;
  ++first_;
  for (std::size_t i = 0; i < count && !engine_->failed(); ++i) {
    channels_[(first_ + i) % count]->service(*engine_, busy);
  }
}

void Connection::handle_timeouts() {
  const io::Reason late{Kind::timeout, io::Stage::channel,
                        "the server did not answer" + within(target_.timeouts.channel)};
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    switch (channels_[i]->late()) {
      case Channel::Late::nothing:
        break;
      case Channel::Late::start:
        // Begun openings are at the front.
        CHECK(openings_.front() == channels_[i].get());
        openings_.pop_front();
        channels_[i]->give_up_start(late);
        wake();
        break;
      case Channel::Late::opening:
        failure_ = late;
        return;
      case Channel::Late::closing:
        if (!stale_) note("the server left the close of a channel unanswered");
        stale_ = true;
        break;
    }
  }
}

void Connection::sweep_channels() {
  const std::size_t before = sessions();
  std::erase_if(channels_, [](const auto& channel) { return channel->gone(); });
  if (sessions() < before) sessions_full_ = false;
  const bool used =
      std::ranges::any_of(channels_, [](const auto& channel) { return channel->has_owner(); });
  if (used) {
    idle_.stop();
  } else if (stale_) {
    failure_ = io::Reason{Kind::requested, stage_, "the connection is of no more use"};
  } else if (!idle_.running()) {
    idle_.start(kIdle);
  }
}

bool Connection::below_is_busy() const {
  return !lower_ || lower_->queued() + engine_->output_size() > io::Stream::kHighMark;
}

void Connection::flush() {
  if (!lower_open_ || !lower_ || engine_->output_size() == 0) return;
  lower_->write(engine_->take_output());
}

void Connection::keepalive() {
  engine_->keepalive();
  flush();
  keepalive_timer_.start(kKeepalive);
}

void Connection::deadline_passed() {
  std::string text = "the server did not answer in time";
  if (phase_ == Phase::files) {
    const std::string why = errand_->late(target_.timeouts.handshake);
    return fail({Kind::timeout, io::Stage::handshake, why});
  }
  if (phase_ == Phase::record) {
    text = "the new host key cannot be recorded: " + errand_->late(target_.timeouts.handshake);
  } else if (phase_ == Phase::authentication && authenticator_->reading() != nullptr) {
    text = "ssh login as " + user_ + ": the key " +
           authenticator_->reading()->late(target_.timeouts.authentication) + "; " +
           authenticator_->report();
  } else if (phase_ == Phase::handshake && engine_->greeting().version().empty()) {
    text = "the server took the connection and said nothing" + within(target_.timeouts.handshake);
  } else if (phase_ == Phase::handshake) {
    text = "the server did not finish the key exchange" + within(target_.timeouts.handshake);
  } else if (phase_ == Phase::authentication) {
    text = "the server did not answer the ssh login as " + user_ +
           within(target_.timeouts.authentication) + "; " + authenticator_->report();
  }
  fail(Kind::timeout, text);
}

void Connection::fail(const io::Reason& reason) {
  CHECK(!servicing_);
  if (dead()) return;
  phase_ = Phase::dead;
  for (io::Timer* timer : {&wake_timer_, &deadline_, &idle_, &keepalive_timer_}) timer->stop();
  errand_.reset();
  lower_.reset();
  authenticator_.reset();
  engine_.reset();
  openings_.clear();
  for (std::size_t i = 0; i < channels_.size(); ++i) channels_[i]->abandon(reason);
  died_();
}

}  // namespace tunnel::ssh
