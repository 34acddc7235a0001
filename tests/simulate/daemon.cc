// A simulated daemon fails the run when the gate sends it a call that may not reach it, or more
// calls at once than it has places for.
#include "tests/simulate/daemon.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "policy/error.h"
#include "policy/events.h"
#include "policy/filter.h"
#include "policy/xdr.h"
#include "proxy/upstream/pacer.h"

namespace simulate {

using policy::Frame;
using policy::Header;
using policy::Remote;
using test::MemoryStream;
using tunnel::io::Reason;

namespace {

constexpr std::size_t kWorkers = 20;        // libvirtd's max_workers
constexpr std::size_t kRequestsAtOnce = 5;  // max_client_requests
constexpr std::size_t kPlaces = 4;          // of which the gate may use these
// As a target has them by default; and those that ask whether what is silent answers again.
constexpr std::size_t kOfOneSubject = 2;
constexpr std::size_t kProbes = 7;
constexpr Milliseconds kRemembered{60000};
constexpr std::ptrdiff_t kSpare = 2;
constexpr Milliseconds kGivenUp{1000};
constexpr Milliseconds kSoonestOverdue{500};
constexpr int kMostCrashes = 2;
constexpr std::uint32_t kErrorsPerMille = 30;
constexpr unsigned kBusy = 1;
constexpr unsigned kFrozen = 2;
constexpr unsigned kSwallowed = 4;

std::int32_t number_of(Remote procedure) { return static_cast<std::int32_t>(procedure); }

}  // namespace

struct Daemon::Connection final : tunnel::io::StreamOwner {
  struct Registration {
    std::int32_t callback = 0;
    std::uint64_t number = 0;
    std::uint64_t events = 0;
    std::optional<Subject> machine;
    std::int32_t event_id = 0;
    base::Buffer asked;
  };

  Connection(Daemon& d, std::uint64_t n, std::unique_ptr<MemoryStream> s)
      : daemon(d), number(n), stream(std::move(s)), dial(d.stage_.clock, [this] { begin(); }) {}

  void begin() { stream->release_open(); }
  void on_open() override {}
  void on_data(base::Bytes data) override {
    reader.feed(data);
    while (const auto frame = reader.next()) daemon.on_frame(*this, *frame);
    if (reader.broken()) daemon.stage_.judge.fail("frames", "the gate sent a frame of no length");
  }
  void on_end() override { close("the gate has left"); }
  void on_drain() override {}
  void on_closed(const Reason&) override {
    daemon.stage_.trace.line(fmt::format("{}.{} gone", daemon.name_, number));
    daemon.drop(*this);
  }
  void close(const char* why) {
    stream->close({Reason::Kind::system, tunnel::io::Stage::established, why});
  }
  // Part of it only, when the connection is to end there.
  void write(base::Bytes bytes) {
    if (swallowed) return;
    if (bytes_left) {
      bytes = bytes.first(std::min<std::size_t>(bytes.size(), *bytes_left));
      *bytes_left -= static_cast<std::uint32_t>(bytes.size());
    }
    stream->write(bytes);
    if (bytes_left && *bytes_left == 0) {
      daemon.trouble();
      close("cut");
    }
  }

  Daemon& daemon;
  const std::uint64_t number;
  std::unique_ptr<MemoryStream> stream;
  tunnel::io::Timer dial;
  policy::FrameReader reader;
  std::size_t works = 0;
  bool open = false;
  bool was_open = false;
  Milliseconds begun{0};
  std::optional<std::uint32_t> bytes_left;
  bool swallowed = false;
  std::list<Registration> registrations;
};

struct Daemon::Work {
  Work(Daemon& d) : timer(d.stage_.clock, [this, &d] { d.finish(*this); }) {}

  std::uint64_t connection = 0;
  Header header;
  Subject subject = kHost;
  std::uint64_t question = 0;
  std::optional<uid_t> user;  // of what nobody else asks
  bool nowait = false;
  bool of_states = false;
  std::uint64_t answer = 0;
  Milliseconds since{0};
  bool running = false;
  tunnel::io::Timer timer;
};

Daemon::Daemon(Stage& stage, std::size_t number, Random random)
    : stage_(stage),
      number_(number),
      name_(1, static_cast<char>('A' + number)),
      random_(random),
      machines_(stage.plan.machines),
      knows_nowait_(random_.percent(60)),
      away_(stage.clock, [this] {
        trouble();
        stage_.trace.line(name_ + " is back");
      }) {}

Daemon::~Daemon() = default;

std::unique_ptr<tunnel::io::Stream> Daemon::stream() {
  auto [ours, theirs] = MemoryStream::pair(stage_.clock);
  stage_.trace.line(fmt::format("{} dialled{}", name_, away_.running() ? " in vain" : ""));
  theirs->hold_open();
  if (away_.running()) {
    theirs->close({Reason::Kind::system, tunnel::io::Stage::connect, "Connection refused"});
    return std::move(theirs);
  }
  deliver(*ours, stage_.plan.network, random_);
  deliver(*theirs, stage_.plan.network, random_);
  theirs->release_open();
  connections_.push_back(std::make_unique<Connection>(*this, next_connection_++, std::move(ours)));
  Connection& added = *connections_.back();
  added.stream->hold_open();
  added.stream->open(added);
  added.begun = stage_.clock.now();
  check_logins();
  if (frozen_) added.stream->pause(kFrozen);
  added.dial.start(random_.time(0, 3));
  return std::move(theirs);
}

// One that takes long has had its turn.
void Daemon::check_logins() {
  const auto logins = std::ranges::count_if(connections_, [&](const auto& one) {
    return !one->was_open && !one->stream->left_alone() &&
           stage_.clock.now() - one->begun < proxy::Pacer::kLongestTurn;
  });
  if (static_cast<std::size_t>(logins) <= proxy::Pacer::kMostOfSsh) return;
  stage_.judge.fail("logins", fmt::format("{} has {} logins at once", name_, logins));
}

void Daemon::on_frame(Connection& connection, const Frame& frame) {
  const Header& header = frame.header;
  if (header.program == policy::kKeepaliveProgram) {
    if (header.procedure == 1) connection.write(policy::keepalive_frame(policy::Keepalive::pong));
    return;
  }
  if (on_handshake(connection, frame)) return;
  const std::string what =
      fmt::format("{}.{} reads {}/{}", name_, connection.number, header.procedure, header.serial);
  base::Buffer encoded;
  const policy::Verdict verdict = policy::judge(header, frame.body, encoded);
  const auto* event = policy::find_event_call(header.procedure);
  if (event != nullptr && !event->older && verdict.decision == policy::Decision::answer) {
    stage_.trace.line(what);
    return on_registration(connection, frame, event->adds);
  }
  const auto subject = subject_of(header.procedure, frame.body);
  if (header.program != policy::kRemoteProgram || !header.is(policy::Type::call) ||
      verdict.decision != policy::Decision::forward || !subject) {
    return stage_.judge.fail("read-only", what + ", which is none of what may reach a daemon");
  }
  stage_.trace.line(fmt::format("{} about {}", what, *subject));
  take(connection, frame, *subject);
}

bool Daemon::on_handshake(Connection& connection, const Frame& frame) {
  const Header& header = frame.header;
  base::Buffer body;
  policy::XdrWriter writer(body);
  switch (static_cast<Remote>(header.procedure)) {
    case Remote::AUTH_LIST:
      writer.word(1);
      writer.word(0);
      break;
    case Remote::CONNECT_SUPPORTS_FEATURE:
      writer.word(1);
      break;
    case Remote::CONNECT_OPEN:
      if (frame.body.back() != 1) {
        stage_.judge.fail("read-only", name_ + " was opened for writing");
      }
      connection.open = connection.was_open = true;
      break;
    case Remote::CONNECT_CLOSE:
      connection.open = false;
      break;
    default:
      if (!connection.open) stage_.judge.fail("order", "a call before the open");
      return false;
  }
  stage_.trace.line(fmt::format("{}.{} reads {}", name_, connection.number, header.procedure));
  reply(connection, header, body);
  if (header.procedure == number_of(Remote::CONNECT_CLOSE)) connection.stream->end();
  return true;
}

// As a daemon has it: once for a connection, an event and an object.
void Daemon::on_registration(Connection& connection, const Frame& frame, bool adds) {
  auto& all = connection.registrations;
  if (!adds) {
    const auto callback = static_cast<std::int32_t>(policy::load_word(frame.body.data()));
    const auto gone = std::erase_if(all, [&](const auto& r) { return r.callback == callback; });
    if (gone != 1) {
      stage_.judge.fail("events", fmt::format("{} is asked to end registration {}, which there is "
                                              "none of",
                                              name_, callback));
    }
    return reply(connection, frame.header, {});
  }
  Connection::Registration added;
  added.asked.assign(frame.body.begin(), frame.body.end());
  if (std::ranges::any_of(all, [&](const auto& r) { return r.asked == added.asked; })) {
    stage_.judge.fail("events", name_ + " is asked for the same registration twice");
  }
  added.callback = next_callback_++;
  added.number = stage_.judge.moment();
  added.event_id = static_cast<std::int32_t>(policy::load_word(frame.body.data()));
  if (frame.body[7] == 1) {
    added.machine = subject_of(number_of(Remote::DOMAIN_GET_INFO), frame.body);
  }
  base::Buffer body;
  policy::XdrWriter(body).number(added.callback);
  all.push_back(std::move(added));
  reply(connection, frame.header, body);
}

void Daemon::take(Connection& connection, const Frame& frame, Subject subject) {
  auto work = std::make_unique<Work>(*this);
  work->connection = connection.number;
  work->header = frame.header;
  work->subject = subject;
  work->since = stage_.clock.now();
  const std::int32_t procedure = frame.header.procedure;
  work->question = identity(procedure, frame.body);
  work->nowait = is_nowait(procedure, frame.body);
  work->of_states = is_of_states(procedure, frame.body);
  if (const auto asker = asker_of(frame.body)) work->user = stage_.plan.clients[*asker].uid;
  work->answer = stage_.judge.add(
      Answer{number_, procedure, work->question, stage_.judge.moment(), work->since});
  check_poison(*work);
  check_place(connection);
  works_.push_back(std::move(work));
  check_user(*works_.back());
  ++connection.works;
  if (connection.works > kPlaces) {
    stage_.judge.fail("places", fmt::format("{}.{} has {} calls at once", name_, connection.number,
                                            connection.works));
  }
  if (lying(subject, procedure) > most_lying(subject)) {
    stage_.judge.fail("subjects", fmt::format("{} has {} calls about {} at once", name_,
                                              lying(subject, procedure), subject));
  }
  if (connection.works >= kRequestsAtOnce) connection.stream->pause(kBusy);
  start_next();
}

// Calls that the gate must have given up by now.
std::size_t Daemon::abandoned(const Connection& connection) const {
  Milliseconds longest{0};
  for (const TargetPlan& target : stage_.plan.targets) {
    longest = std::max(longest, target.call_timeout);
  }
  return static_cast<std::size_t>(std::ranges::count_if(works_, [&](const auto& work) {
    return work->connection == connection.number &&
           stage_.clock.now() - work->since > longest + kGivenUp;
  }));
}

// A connection with several calls that nobody waits for takes no more, unless as many as there may
// be are being replaced.
void Daemon::check_place(const Connection& connection) {
  const Milliseconds before = stage_.clock.now() - kRemembered;
  if (abandoned(connection) < 2 || stage_.judge.targets_of(number_, before) != 1) return;
  // What it has only now read was sent before.
  const Milliseconds recently = stage_.clock.now() - kGivenUp;
  if (troubled_at_ > recently) return;
  if (std::ranges::any_of(machines_, [&](const auto& one) { return one.troubled_at > recently; })) {
    return;
  }
  const auto others = std::ranges::count_if(connections_, [&](const auto& one) {
    return one.get() != &connection && !one->stream->left_alone() && abandoned(*one) > 0;
  });
  if (others >= kSpare) return;
  stage_.judge.fail("abandoned", fmt::format("{}.{} gets a call, and has {} that are given up",
                                             name_, connection.number, abandoned(connection)));
}

// Calls that are overdue count no longer, and none is before that.
void Daemon::check_user(const Work& work) {
  if (!work.user || !stage_.plan.rule_limits.contains(*work.user)) return;
  const std::uint32_t most = stage_.plan.rule_limits.at(*work.user).calls_in_flight;
  const auto lies = std::ranges::count_if(works_, [&](const auto& one) {
    return one->user == work.user && stage_.clock.now() - one->since < kSoonestOverdue &&
           waited_for(*one);
  });
  const auto targets = stage_.judge.targets_of(number_, stage_.clock.now() - kRemembered);
  if (most == 0 || static_cast<std::size_t>(lies) <= most * targets) return;
  stage_.judge.fail("limits",
                    fmt::format("{} has {} calls of user {} at once", name_, lies, *work.user));
}

// What has cost two upstreams is not sent again; one that is lost with the other is no new loss.
void Daemon::check_poison(const Work& work) {
  if (!work.user || work.subject < 0 || !machines_[index(work.subject)].poisonous) return;
  const FaultPlan& faults = stage_.plan.faults;
  const int most = kMostCrashes + starved_ + (faults.cuts || faults.lies || faults.reloads ? 1 : 0);
  if (++poisoned_[work.question] <= most) return;
  stage_.judge.fail("poison", fmt::format("{} gets a call for the {}. time that makes it crash",
                                          name_, poisoned_[work.question]));
}

void Daemon::start_next() {
  for (const auto& work : works_) {
    if (running_ >= kWorkers) return;
    if (!work->running) run(*work);
  }
}

bool Daemon::hangs(const Work& work) const {
  if (frozen_) return true;
  if (work.subject == kSweep) return any_hung() && !work.nowait && !work.of_states;
  if (work.subject < 0 || !machines_[index(work.subject)].hung) return false;
  return !machines_[index(work.subject)].partly ||
         work.header.procedure != policy::number(Remote::DOMAIN_GET_INFO);
}

void Daemon::run(Work& work) {
  if (!work.running) ++running_;
  work.running = true;
  if (hangs(work)) {
    if (work.subject >= 0) {
      Machine& machine = machines_[index(work.subject)];
      if (machine.stuck_at <= machine.troubled_at) machine.stuck_at = stage_.clock.now();
    }
    stuck_at_ = stage_.clock.now();
    return work.timer.stop();
  }
  const auto most = static_cast<std::uint32_t>(stage_.plan.service.count());
  Milliseconds time = random_.time(0, most);
  if (work.subject == kSweep) time *= 3;
  if (work.subject >= 0) time *= machines_[index(work.subject)].factor;
  work.timer.start(time);
}

void Daemon::finish(Work& work) {
  if (work.subject >= 0 && machines_[index(work.subject)].poisonous) return die(Milliseconds(0));
  const auto node =
      std::ranges::find_if(works_, [&](const auto& one) { return one.get() == &work; });
  const std::unique_ptr<Work> done = std::move(*node);
  works_.erase(node);
  --running_;
  if (done->subject >= 0) {
    machines_[index(done->subject)].answered_at[done->header.procedure] = done->since;
  }
  if (Connection* connection = find(done->connection)) {
    --connection->works;
    connection->stream->resume(kBusy);
    stage_.trace.line(fmt::format("{}.{} answers {}/{} as {}", name_, connection->number,
                                  done->header.procedure, done->header.serial, done->answer));
    if (done->nowait && !knows_nowait_) {
      base::Buffer out;
      policy::append_error_reply(out, done->header,
                                 {policy::ErrorCode::invalid_argument, policy::ErrorDomain::remote,
                                  "unsupported flags (0x20000000) in function simulated"});
      connection->write(out);
    } else if (random_.per_mille(kErrorsPerMille)) {
      base::Buffer out;
      policy::append_error_reply(out, done->header,
                                 {policy::ErrorCode::internal_error, policy::ErrorDomain::remote,
                                  error_text(done->answer)});
      connection->write(out);
    } else {
      const std::size_t padding = random_.percent(30) ? stage_.plan.large_reply : 0;
      reply(*connection, done->header,
            encode_answer(done->header.procedure, done->answer, padding));
    }
  }
  start_next();
}

void Daemon::reply(Connection& connection, const Header& call, base::Bytes body) {
  Header header = call;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  base::Buffer out;
  policy::append_frame(out, header, body);
  connection.write(out);
}

// What runs goes on as if nothing had happened; nobody gets the answer.
void Daemon::drop(const Connection& connection) {
  std::erase_if(works_, [&](const auto& work) {
    return work->connection == connection.number && !work->running;
  });
  for (const auto& work : works_) {
    if (work->connection == connection.number) work->connection = 0;
  }
  std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
}

Daemon::Connection* Daemon::find(std::uint64_t number) {
  for (const auto& connection : connections_) {
    if (connection->number == number) return connection.get();
  }
  return nullptr;
}

Daemon::Connection* Daemon::any() {
  if (connections_.empty()) return nullptr;
  return std::next(connections_.begin(), static_cast<long>(random_.below(connections_.size())))
      ->get();
}

bool Daemon::any_hung() const {
  return std::ranges::any_of(machines_, [](const Machine& one) { return one.hung; });
}

bool Daemon::is_calm(Milliseconds since) const {
  return std::ranges::all_of(machines_, [&](const Machine& one) {
    return !one.hung && one.factor == 1 && one.troubled_at <= since;
  });
}

Milliseconds Daemon::troubled_at(Subject machine) const {
  if (machine >= 0) return machines_[index(machine)].troubled_at;
  Milliseconds out{-1000000};
  if (machine == kHost) return out;
  for (const Machine& one : machines_) out = std::max(out, one.troubled_at);
  return out;
}

std::size_t Daemon::registrations() const {
  std::size_t out = 0;
  for (const auto& connection : connections_) out += connection->registrations.size();
  return out;
}

// The gate has not given up the connection that the call came by.
bool Daemon::waited_for(const Work& work) const {
  return work.connection != 0 && std::ranges::any_of(connections_, [&](const auto& one) {
           return one->number == work.connection && !one->stream->left_alone();
         });
}

// The host and sweeps are a subject for each procedure.
std::size_t Daemon::lying(Subject subject, std::int32_t procedure) const {
  return static_cast<std::size_t>(std::ranges::count_if(works_, [&](const auto& work) {
    return work->subject == subject && (subject >= 0 || work->header.procedure == procedure) &&
           waited_for(*work);
  }));
}

// Nothing is silent that has been well for long. A target that led here still has its calls here.
std::size_t Daemon::most_lying(Subject subject) const {
  const Milliseconds before = stage_.clock.now() - kRemembered;
  const bool silent = troubled_at_ > before || troubled_at(subject) > before || frozen_ ||
                      (subject == kSweep ? any_hung() : subject >= 0 && hung(subject));
  return (kOfOneSubject + (silent ? kProbes : 0)) * stage_.judge.targets_of(number_, before);
}

std::size_t Daemon::lying_for(Milliseconds longer_than) const {
  return static_cast<std::size_t>(std::ranges::count_if(works_, [&](const auto& work) {
    return stage_.clock.now() - work->since > longer_than && waited_for(*work);
  }));
}

std::size_t Daemon::lying_of(uid_t user) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      works_, [&](const auto& work) { return work->user == user && waited_for(*work); }));
}

std::size_t Daemon::stuck() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      works_, [&](const auto& work) { return work->running && !frozen_ && hangs(*work); }));
}

std::size_t Daemon::upstreams() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const auto& one) { return one->open && !one->stream->left_alone(); }));
}

void Daemon::hang(Subject machine, bool hung, bool partly) {
  Machine& it = machines_[index(machine)];
  it.hung = hung;
  it.partly = partly;
  it.troubled_at = stage_.clock.now();
  stage_.trace.line(fmt::format("{} {} {}", name_, machine_name(machine),
                                !hung    ? "goes on"
                                : partly ? "hangs partly"
                                         : "hangs"));
  for (const auto& work : works_) {
    if (work->running && (work->subject == machine || work->subject == kSweep)) run(*work);
  }
}

void Daemon::poison(Subject machine, bool poisonous) {
  Machine& it = machines_[index(machine)];
  it.poisonous = poisonous;
  it.was_poisonous = it.was_poisonous || poisonous;
  it.troubled_at = stage_.clock.now();
  if (!poisonous) trouble();
  stage_.trace.line(fmt::format("{} {} is {}", name_, machine_name(machine),
                                poisonous ? "poisonous" : "harmless"));
}

void Daemon::slow(Subject machine, std::uint32_t factor) {
  Machine& it = machines_[index(machine)];
  if (it.factor == factor) return;
  it.factor = factor;
  it.troubled_at = stage_.clock.now();
  stage_.trace.line(
      fmt::format("{} {} takes {} times as long", name_, machine_name(machine), factor));
}

void Daemon::freeze(bool frozen) {
  if (frozen_ == frozen) return;
  frozen_ = frozen;
  trouble();
  stage_.trace.line(name_ + (frozen ? " freezes" : " thaws"));
  for (const auto& connection : connections_) {
    if (frozen) {
      connection->stream->pause(kFrozen);
    } else {
      connection->stream->resume(kFrozen);
    }
  }
  for (const auto& work : works_) {
    if (work->running) run(*work);
  }
}

void Daemon::die(Milliseconds away) {
  trouble();
  stage_.trace.line(fmt::format("{} dies, away {} ms", name_, away.count()));
  freeze(false);
  works_.clear();
  running_ = 0;
  for (const auto& connection : connections_) {
    connection->works = 0;
    connection->close("killed");
  }
  if (away.count() > 0) away_.start(away);
}

void Daemon::cut() {
  Connection* connection = any();
  if (connection == nullptr) return;
  trouble();
  connection->bytes_left = random_.between(1, random_.percent(50) ? 60 : 5000);
  stage_.trace.line(fmt::format("{}.{} is cut after {} bytes", name_, connection->number,
                                *connection->bytes_left));
}

// The one with the oldest call, which so may lose several.
void Daemon::starve() {
  const auto oldest =
      std::ranges::find_if(works_, [&](const auto& one) { return waited_for(*one); });
  Connection* connection = oldest == works_.end() ? any() : find((*oldest)->connection);
  if (connection == nullptr || !connection->open) return;
  trouble();
  ++starved_;
  stage_.trace.line(fmt::format("no memory is left for {}.{}", name_, connection->number));
  connection->stream->fail_peer(
      {Reason::Kind::exhausted, tunnel::io::Stage::established, "Cannot allocate memory"});
}

void Daemon::swallow() {
  Connection* connection = any();
  if (connection == nullptr || connection->swallowed) return;
  trouble();
  connection->swallowed = true;
  connection->stream->pause(kSwallowed);
  stage_.trace.line(fmt::format("{}.{} is swallowed", name_, connection->number));
}

bool Daemon::swallows() const {
  return std::ranges::any_of(connections_, [](const auto& one) { return one->swallowed; });
}

Milliseconds Daemon::troubled_at() const {
  const bool now = std::ranges::any_of(
      connections_, [](const auto& one) { return one->swallowed && one->stream->left_alone(); });
  return now ? stage_.clock.now() : std::max(troubled_at_, given_up_at_);
}

void Daemon::look_after_swallowed() {
  for (const auto& connection : connections_) {
    if (!connection->swallowed || !connection->stream->left_alone()) continue;
    given_up_at_ = stage_.clock.now();
    connection->close("swallowed");
  }
}

void Daemon::lie() {
  Connection* connection = any();
  if (connection == nullptr || !connection->open) return;
  trouble();
  Header header;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  header.procedure = number_of(Remote::DOMAIN_GET_XML_DESC);
  header.serial = static_cast<std::uint32_t>(random_.below(40));
  base::Buffer out;
  switch (random_.below(4)) {
    case 0:  // to whichever call has that serial, but as the answer to another
      header.procedure = number_of(Remote::CONNECT_GET_TYPE);
      policy::append_frame(out, header, encode_answer(14, 0, 0));
      break;
    case 1:
      header.serial += 1000000;
      policy::append_frame(out, header, encode_answer(14, 0, 0));
      break;
    case 2:
      header.type = static_cast<std::uint32_t>(policy::Type::message);
      header.procedure = number_of(Remote::DOMAIN_DESTROY);
      policy::append_frame(out, header, {});
      break;
    default:
      policy::XdrWriter(out).word(random_.percent(50) ? 5 : 0x7fffffff);
      break;
  }
  stage_.trace.line(fmt::format("{}.{} lies", name_, connection->number));
  connection->write(out);
}

void Daemon::happen(Subject machine) {
  if (frozen_ || away_.running()) return;
  const bool reboot = random_.percent(30);
  const std::int32_t message = number_of(reboot ? Remote::DOMAIN_EVENT_CALLBACK_REBOOT
                                                : Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE);
  for (const auto& connection : connections_) {
    for (auto& registration : connection->registrations) {
      if (registration.event_id != (reboot ? 1 : 0)) continue;
      if (registration.machine && *registration.machine != machine) continue;
      const std::uint64_t event = stage_.judge.add(
          Event{number_, machine, message, registration.number, registration.events++});
      Header header;
      header.type = static_cast<std::uint32_t>(policy::Type::message);
      header.procedure = message;
      header.serial = 1;
      base::Buffer body;
      policy::XdrWriter(body).number(registration.callback);
      base::append(body, encode_event(message, machine, event));
      base::Buffer out;
      policy::append_frame(out, header, body);
      stage_.trace.line(fmt::format("{}.{} tells event {} of {}", name_, connection->number, event,
                                    machine_name(machine)));
      connection->write(out);
    }
  }
}

void Daemon::heal() {
  freeze(false);
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    const auto machine = static_cast<Subject>(i);
    if (machines_[i].hung) hang(machine, false);
    if (machines_[i].poisonous) poison(machine, false);
    slow(machine, 1);
  }
  if (swallows()) trouble();
  for (const auto& connection : connections_) {
    if (connection->swallowed) connection->close("swallowed");
  }
  if (away_.running()) {
    away_.stop();
    trouble();
  }
}

}  // namespace simulate
