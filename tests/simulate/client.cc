// A simulated client fails the run when an answer or event is late, doubled, out of order or meant
// for another question.
#include "tests/simulate/client.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "policy/error.h"
#include "policy/xdr.h"

namespace simulate {

using policy::Frame;
using policy::Header;
using policy::Remote;
using test::MemoryStream;
using tunnel::io::Reason;

namespace {

// After a fault it takes so long until everything is as if there had been none.
constexpr Milliseconds kGrace{6000};
// Whatever happens, an open is answered by then: each daemon of the run may be tried to its limit.
constexpr Milliseconds kOpenBound{60000};
constexpr Milliseconds kSlack{1500};
constexpr Milliseconds kLeastMoved{1500};
// Twice as many as a turn has for a client, since two of them can fall into one of the clock.
constexpr std::size_t kMostOfTurn = 64;
constexpr Milliseconds kTogether{3000};  // when all of them speak
constexpr Milliseconds kChorus{2000};    // for what all of them say together
constexpr std::size_t kPadding = 1200;
constexpr Milliseconds kAllThere{4000};
constexpr std::uint32_t kWithoutRest = 1000000;
constexpr Milliseconds kAtOnce{20};
constexpr std::int32_t kDenied = static_cast<std::int32_t>(policy::ErrorCode::operation_denied);

std::int32_t number_of(Remote procedure) { return static_cast<std::int32_t>(procedure); }

base::Buffer call_frame(std::int32_t procedure, std::uint32_t serial, base::Bytes body) {
  Header header;
  header.procedure = procedure;
  header.serial = serial;
  base::Buffer out;
  policy::append_frame(out, header, body);
  return out;
}

}  // namespace

Client::Client(Stage& stage, Surroundings& surroundings, const ClientPlan& plan, std::size_t number,
               Random random)
    : stage_(stage),
      surroundings_(surroundings),
      plan_(plan),
      number_(number),
      random_(random),
      wire_(random_.fork()),
      act_(stage.clock, [this] { act(); }),
      reading_(stage.clock, [this] { pause_reading(); }) {}

Client::~Client() = default;

std::string Client::name() const { return fmt::format("c{}.{}", number_, visit_); }

void Client::fail(const char* check, const std::string& what) {
  stage_.judge.fail(check, name() + ": " + what);
}

std::string Client::state() const {
  static constexpr const char* kStates[] = {"away", "opening", "open", "leaving"};
  return fmt::format("{} {} with {} calls", name(), kStates[static_cast<int>(state_)],
                     outstanding_.size());
}

// Those of a chorus come, and so speak, in the order in which the plan has them.
void Client::start() {
  const auto place = static_cast<std::uint32_t>(number_);
  act_later(stage_.plan.chorus ? Milliseconds(100 * place) : random_.time(0, 2000));
}

void Client::act_later(Milliseconds time) {
  if (stage_.plan.chorus && state_ == State::open)
    time = kTogether - stage_.clock.now() % kTogether;
  if (!act_.running()) act_.start(time);
}

void Client::come() {
  auto [ours, theirs] = MemoryStream::pair(stage_.clock);
  deliver(*ours, stage_.plan.network, wire_);
  deliver(*theirs, stage_.plan.network, wire_);
  ++visit_;
  serial_ = static_cast<std::uint32_t>(random_.below(3));
  stream_ = std::move(ours);
  stream_->open(*this);
  reader_ = policy::FrameReader();
  outstanding_.clear();
  subscriptions_.clear();
  order_.clear();
  seen_.clear();
  offended_ = closes_ = false;
  state_ = State::opening;
  left_to_ask_ = plan_.program == Program::command ? random_.between(1, 6) : random_.between(5, 60);
  if (stage_.plan.pressure && plan_.program == Program::flood) left_to_ask_ = kWithoutRest;
  stage_.trace.line(fmt::format("{} comes, user {}", name(), plan_.uid));
  if (!surroundings_.connect(std::move(theirs), plan_.uid)) return hang_up("nobody is there");
  send(Kind::greeting, number_of(Remote::AUTH_LIST), {}, {});
  base::Buffer body;
  if (random_.percent(50)) {
    policy::XdrWriter(body).word(10);
    send(Kind::greeting, number_of(Remote::CONNECT_SUPPORTS_FEATURE), body, {});
    body.clear();
  }
  policy::XdrWriter writer(body);
  writer.optional(true);
  writer.string(plan_.target);
  writer.word(1);
  send(Kind::open, number_of(Remote::CONNECT_OPEN), body, {});
  if (plan_.slow_reader) reading_.start(random_.time(0, 3000));
}

void Client::act() {
  if (state_ == State::away) {
    if (!stream_ && !calm_) come();
    return;
  }
  if (state_ != State::open || calm_) return;
  if (plan_.leaves > 0 && random_.per_mille(plan_.leaves)) return hang_up("just leaves");
  if (plan_.program == Program::manager && outstanding_.size() < plan_.depth &&
      random_.percent(20)) {
    return random_.percent(60) ? subscribe() : unsubscribe();
  }
  fill();
}

// The turns of the loop are what bounds it.
void Client::babble() {
  const base::Buffer body = machine(0, machine_name(0));
  for (std::uint32_t i = 0; i < plan_.babble; ++i) {
    send(Kind::forbidden, number_of(Remote::DOMAIN_DESTROY), body, {});
  }
  if (plan_.last_word) {
    Asked asked;
    asked.subject = 0;
    send(Kind::question, number_of(Remote::DOMAIN_GET_INFO), body, asked);
  }
  left_to_ask_ = 0;
}

void Client::fill() {
  if (plan_.program == Program::babbler && left_to_ask_ > 0 && outstanding_.empty()) babble();
  while (state_ == State::open && left_to_ask_ > 0 && outstanding_.size() < plan_.depth) {
    --left_to_ask_;
    if (plan_.rude > 0 && random_.per_mille(plan_.rude)) {
      be_rude();
    } else {
      ask();
    }
    if (plan_.program == Program::manager) break;
  }
  if (left_to_ask_ == 0 && outstanding_.empty() && !calm_) {
    if (plan_.program == Program::manager || random_.percent(30)) {
      left_to_ask_ = random_.between(1, 60);
      return act_later(random_.time(300, 5000));
    }
    return leave();
  }
  if (plan_.program == Program::manager) act_later(random_.time(20, 600));
}

void Client::ask() {
  const std::uint64_t what = plan_.of_machines ? 0 : random_.below(100);
  const bool unique = random_.percent(plan_.unique);
  Question question;
  if (what < 75) {
    const std::uint32_t machines = plan_.machines == 0 ? stage_.plan.machines : plan_.machines;
    const auto machine = static_cast<Subject>(plan_.first_machine + random_.below(machines));
    std::string own = fmt::format("{}-{}-{}", machine_name(machine), name(), next_index_);
    // Calls can be more than may be kept of them.
    if (stage_.plan.limits.max_call < 4096) own.append(kPadding, '+');
    const std::uint64_t choice = plan_.asks == Asks::info ? kAskInfo : random_.next();
    const auto ask = plan_.asks == Asks::others ? ask_machine_else : ask_machine;
    question = ask(machine, choice, unique ? own : "");
  } else if (what < 90) {
    question = ask_host(random_.next());
  } else {
    const std::uint64_t choice = random_.next();
    question = ask_sweep(plan_.asks == Asks::info                                       ? kAskStates
                         : plan_.asks == Asks::others && choice % kSweeps == kAskStates ? kAskCpus
                                                                                        : choice);
  }
  Asked asked;
  asked.subject = question.subject;
  asked.unique = unique && question.subject >= 0;
  send(Kind::question, number_of(question.procedure), question.body, asked);
}

// What no decent client sends. The gate refuses it, or ends the connection; nothing of it reaches a
// daemon.
void Client::be_rude() {
  const auto machine_number = static_cast<Subject>(random_.below(stage_.plan.machines));
  base::Buffer body = machine(machine_number, machine_name(machine_number));
  switch (random_.below(9)) {
    case 0:
      return send(Kind::forbidden, number_of(Remote::DOMAIN_DESTROY), body, {});
    case 1:
      policy::XdrWriter(body).word(8);  // VIR_DOMAIN_XML_MIGRATABLE
      return send(Kind::forbidden, number_of(Remote::DOMAIN_GET_XML_DESC), body, {});
    case 2:
      policy::XdrWriter(body).word(0);  // more than the procedure has
      return send(Kind::forbidden, number_of(Remote::DOMAIN_GET_INFO), body, {});
    case 3:
      body.resize(body.size() - 4);
      return send(Kind::forbidden, number_of(Remote::DOMAIN_GET_INFO), body, {});
    case 4:
      return send(Kind::forbidden, 9999, body, {});
    case 5:
      return send(Kind::forbidden, number_of(Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE), body, {});
    case 6: {
      Header header;
      header.type = static_cast<std::uint32_t>(policy::Type::call_with_fds);
      header.procedure = number_of(Remote::CONNECT_GET_HOSTNAME);
      header.serial = 0xffffff00U;
      base::Buffer out;
      policy::append_frame(out, header, {});
      offended_ = true;
      stage_.trace.line(name() + " sends a file descriptor");
      return send_raw(out);
    }
    case 7: {
      offended_ = true;
      stage_.trace.line(name() + " sends a frame without a length");
      const base::Buffer out(4, 0);
      return send_raw(out);
    }
    default: {
      base::Buffer out = call_frame(number_of(Remote::DOMAIN_GET_INFO), 0xffffff01U, body);
      out.resize(random_.between(1, static_cast<std::uint32_t>(out.size()) - 1));
      send_raw(out);
      return hang_up("stops in the middle of a frame");
    }
  }
}

void Client::subscribe() {
  const auto event = static_cast<std::int32_t>(random_.below(2));
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.number(event);
  Asked asked;
  asked.detail = event;
  const bool one = random_.percent(50);
  writer.optional(one);
  if (one) {
    asked.about = static_cast<Subject>(random_.below(stage_.plan.machines));
    base::append(body, machine(*asked.about, machine_name(*asked.about)));
  }
  send(Kind::adds, number_of(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY), body, asked);
  act_later(random_.time(0, 300));
}

void Client::unsubscribe() {
  act_later(random_.time(0, 300));
  if (subscriptions_.empty()) return;
  const auto which =
      std::next(subscriptions_.begin(), static_cast<long>(random_.below(subscriptions_.size())));
  for (const auto& [serial, asked] : outstanding_) {
    if (asked.kind == Kind::removes && asked.detail == which->first) return;
  }
  Asked asked;
  asked.detail = which->first;
  base::Buffer body;
  policy::XdrWriter(body).number(which->first);
  send(Kind::removes, number_of(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY), body, asked);
}

void Client::pause_reading() {
  if (!stream_) return;
  if (paused_ || calm_) {
    paused_at_ = paused_ ? stage_.clock.now() : paused_at_;
    paused_ = false;
    stream_->resume(1);
    if (!calm_) reading_.start(random_.time(100, 4000));
  } else {
    paused_ = true;
    paused_at_ = stage_.clock.now();
    stream_->pause(1);
    reading_.start(random_.time(100, 6000));
  }
  stage_.trace.line(name() + (paused_ ? " stops reading" : " reads on"));
}

void Client::send(Kind kind, std::int32_t procedure, const base::Buffer& body, Asked asked) {
  asked.kind = kind;
  asked.procedure = procedure;
  asked.question = identity(procedure, body);
  asked.index = next_index_++;
  asked.moment = stage_.judge.moment();
  asked.at = stage_.clock.now();
  asked.behind = std::ranges::any_of(outstanding_, [&](const auto& one) {
    return one.second.kind == Kind::question && one.second.subject == asked.subject;
  });
  asked.proven =
      asked.subject >= 0 && surroundings_.daemon(plan_.target).proven(asked.subject, procedure);
  asked.of_states = is_of_states(procedure, body);
  const std::uint32_t serial = serial_++;
  stage_.trace.line(fmt::format("{} asks {}/{}", name(), procedure, serial));
  outstanding_.emplace(serial, asked);
  send_raw(call_frame(procedure, serial, body));
}

void Client::send_raw(const base::Buffer& bytes) { stream_->write(bytes); }

void Client::hang_up(const char* why) {
  stage_.trace.line(fmt::format("{} hangs up: {}", name(), why));
  state_ = State::leaving;
  act_.stop();
  stream_->close({Reason::Kind::requested, tunnel::io::Stage::established, why});
}

void Client::calm_down() {
  calm_ = true;
  if (state_ == State::away) act_.stop();
  reading_.stop();
  if (paused_) pause_reading();
}

void Client::leave() {
  if (!stream_ || state_ == State::leaving) return;
  if (state_ != State::open || random_.percent(30)) return hang_up("leaves");
  send(Kind::close, number_of(Remote::CONNECT_CLOSE), {}, {});
  act_.stop();
  state_ = State::leaving;
}

void Client::on_data(base::Bytes data) {
  reader_.feed(data);
  while (const auto frame = reader_.next()) {
    if (stage_.judge.failed()) continue;
    const Header& header = frame->header;
    if (header.program == policy::kKeepaliveProgram) {
      if (header.procedure == 1) {
        const auto pong = policy::keepalive_frame(policy::Keepalive::pong);
        stream_->write(pong);
      }
    } else if (header.is(policy::Type::reply)) {
      on_reply(*frame);
    } else {
      on_event(*frame);
    }
  }
  if (reader_.broken()) fail("frames", "gets a frame of no length");
}

void Client::on_reply(const Frame& frame) {
  const Header& header = frame.header;
  const auto found = outstanding_.find(header.serial);
  if (found == outstanding_.end()) {
    if (offended_ && header.serial == 0xffffff00U) return;
    return fail("once", fmt::format("gets an answer to {}/{}, for which it does not wait",
                                    header.procedure, header.serial));
  }
  const Asked asked = found->second;
  outstanding_.erase(found);
  if (header.procedure != asked.procedure || header.program != policy::kRemoteProgram) {
    return fail("answer", fmt::format("gets an answer of {} to {}/{}", header.procedure,
                                      asked.procedure, header.serial));
  }
  const bool ok = header.is(policy::Status::ok);
  if (asked.kind != Kind::greeting && asked.kind != Kind::open) ++taken_;
  stage_.trace.line(fmt::format("{} gets {} {}/{}", name(), ok ? "ok" : "error", header.procedure,
                                header.serial));
  switch (asked.kind) {
    case Kind::open:
      return on_opened(ok, asked, policy::decode_error(frame.body));
    case Kind::question:
      on_answer(frame, asked);
      break;
    case Kind::forbidden:
      if (ok) fail("read-only", fmt::format("was let call {}", asked.procedure));
      count_refused();
      break;
    case Kind::adds:
      check_rules(asked, !ok && policy::decode_error(frame.body).code == kDenied);
      if (ok) {
        const auto id = static_cast<std::int32_t>(policy::load_word(frame.body.data()));
        if (!subscriptions_.emplace(id, Subscription{asked.detail, asked.about}).second) {
          fail("events", fmt::format("gets callback id {} twice", id));
        }
        if (subscriptions_.size() > stage_.plan.limits.registrations_per_client) {
          fail("registrations", fmt::format("has {} registrations", subscriptions_.size()));
        }
      }
      break;
    case Kind::removes:
      if (!ok) fail("events", "cannot end a subscription that it has");
      subscriptions_.erase(asked.detail);
      break;
    case Kind::greeting:
    case Kind::close:
      break;
  }
  if (state_ == State::open && !calm_) {
    act_later(plan_.program == Program::flood ? Milliseconds(0) : random_.time(0, 50));
  }
}

void Client::on_opened(bool ok, const Asked& asked, const policy::RemoteError& error) {
  const bool denied = stage_.judge.denied(plan_.uid, Remote::CONNECT_OPEN) &&
                      asked.moment > stage_.judge.rules_since();
  if (ok && denied) fail("rules", "was let open what its user may not see");
  if (!ok) {
    stage_.trace.line(fmt::format("{} may not open: {}", name(), error.text));
    if (!denied) check_refused_open(asked, error);
    return hang_up("could not open");
  }
  if (state_ != State::opening) return;
  state_ = State::open;
  opened_at_ = stage_.clock.now();
  if (!calm_) act_later(random_.time(0, 20));
}

// What the gate's host lacks is said to be that, and once it is back, everybody is let in again.
void Client::check_refused_open(const Asked& asked, const policy::RemoteError& error) {
  const bool may_be_refused = stage_.plan.faults.rules || stage_.plan.limits.clients_per_user < 100;
  if (may_be_refused || asked.at >= stage_.judge.stops_at()) return;
  const Daemon& daemon = surroundings_.daemon(plan_.target);
  const Milliseconds quiet = asked.at - kGrace;
  if (!daemon.well() || daemon.troubled_at() > quiet) return;
  if (stage_.judge.disturbed_at(plan_.target) > quiet) return;
  const Host& host = surroundings_.host();
  if (host.lets_open(daemon, asked.at)) {
    return fail("opens", "may not open a target that is well: " + error.text);
  }
  const bool told = error.text.find(Host::kNoDescriptors) != std::string::npos ||
                    error.text.find("has too little left for it") != std::string::npos;
  if (!told && host.lacked_only_descriptors(daemon, asked.at)) {
    fail("opens", "is not told that there are no descriptors: " + error.text);
  }
}

void Client::check_rules(const Asked& asked, bool denied) {
  if (asked.moment <= stage_.judge.rules_since()) return;
  const auto procedure = static_cast<Remote>(asked.procedure);
  const bool may = !stage_.judge.denied(plan_.uid, procedure) &&
                   !stage_.judge.denied(plan_.uid, Remote::CONNECT_OPEN);
  if (may == !denied) return;
  fail("rules",
       fmt::format("{} {} by the rules, but that was {}", asked.procedure,
                   may ? "may be called" : "may not be called", denied ? "refused" : "let pass"));
}

// Where nothing else ends connections, only what does so is refused for that.
void Client::check_guilt(const Asked& asked) {
  const FaultPlan& faults = stage_.plan.faults;
  if (faults.daemon_dies || faults.daemon_away || faults.daemon_freezes || faults.cuts) return;
  if (faults.lies || faults.swallows || faults.reloads) return;
  // What the gate's host lacked is no call's fault.
  if (!faults.poison && !stage_.plan.poisoned) {
    return fail("guilt", fmt::format("{} about {} is refused, and no call ends a connection",
                                     asked.procedure, asked.subject));
  }
  const Daemon& daemon = surroundings_.daemon(plan_.target);
  // Beside what is suspected there may be somebody else who is guilty, and of whom nobody knows.
  if (daemon.was_poisonous(asked.subject) || daemon.poisons() > 1) return;
  // What has been there for long holds up no other suspect, and then is there with it.
  if (asked.subject == kSweep && daemon.any_hung()) return;
  if (asked.subject >= 0 && daemon.hung(asked.subject)) return;
  if (daemon.troubled_at(asked.subject) >= asked.at) return;
  fail("guilt", fmt::format("{} about {} is refused for what another call did", asked.procedure,
                            asked.subject));
}

void Client::count_refused() {
  refused_ = std::exchange(turn_, stage_.judge.turn) == stage_.judge.turn ? refused_ + 1 : 1;
  const NetworkPlan& network = stage_.plan.network;
  if (refused_ <= kMostOfTurn || plan_.slow_reader) return;
  if (network.delay > 0 || network.piece > 0) return;
  fail("turns", fmt::format("has {} calls answered in one turn", refused_));
}

void Client::on_answer(const Frame& frame, const Asked& asked) {
  const bool ok = frame.header.is(policy::Status::ok);
  policy::RemoteError error;
  if (!ok) error = policy::decode_error(frame.body);
  const auto number = ok ? decode_answer(asked.procedure, frame.body) : answer_of_error(error.text);
  if (ok && !number) return fail("answer", "gets an answer that no daemon gave");
  check_rules(asked, !number && error.code == kDenied);
  if (number) {
    ++answered_;
    return check_answer(asked, *number);
  }
  stage_.trace.line(fmt::format("{} is told: {}", name(), error.text));
  if (error.text.find("times with this call on it") != std::string::npos) check_guilt(asked);
  // No client asks for what was refused.
  if (error.text.find("unsupported flags") != std::string::npos) {
    fail("nowait", "is told of a flag that it did not use");
  }
  if (error.code != kDenied && well(asked)) {
    fail("isolation", fmt::format("{} about {} failed, of a daemon and a machine that are well: {}",
                                  asked.procedure, asked.subject, error.text));
  }
}

void Client::check_answer(const Asked& asked, std::uint64_t number) {
  const Answer* answer = stage_.judge.answer(number);
  if (answer == nullptr || answer->procedure != asked.procedure ||
      answer->question != asked.question) {
    return fail("answer", fmt::format("gets answer {}, which is one to another question", number));
  }
  if (answer->read < asked.moment) check_age(asked, *answer, number);
  if (!stage_.judge.led_to(plan_.target, answer->daemon, asked.moment)) {
    return fail("target",
                fmt::format("gets answer {}, of a daemon that is not its target", number));
  }
  // One answer is for all calls that are the same to the byte and had been asked when it was read,
  // which is what has been looked at above; nobody asks a unique question twice.
  if (!seen_.insert(number).second && asked.unique) {
    return fail("once", fmt::format("gets answer {} twice", number));
  }
  if (asked.unique) check_order(asked, *answer);
  const Milliseconds took = stage_.clock.now() - asked.at;
  if (took > surroundings_.bound(plan_.target) && well(asked)) {
    fail("isolation",
         fmt::format("{} about {} took {} ms", asked.procedure, asked.subject, took.count()));
  }
  // Whoever asks now and then finds a place at once, once there are all connections.
  const bool modest = stage_.plan.pressure && plan_.program == Program::manager;
  if (modest && asked.at > kAllThere && took > kAtOnce) {
    fail("room", fmt::format("{} about {} took {} ms beside a user who wants all places",
                             asked.procedure, asked.subject, took.count()));
  }
}

// Somebody else may have been told so a moment ago.
void Client::check_age(const Asked& asked, const Answer& answer, std::uint64_t number) {
  const Milliseconds age = asked.at - answer.read_at;
  const Milliseconds most = surroundings_.max_age(plan_.target);
  if (most.count() == 0 || age > most) {
    fail("age", fmt::format("gets answer {}, which is {} ms older than the question", number,
                            age.count()));
  }
  if (seen_.contains(number)) fail("once", fmt::format("gets answer {} again", number));
}

// Of two questions about one subject the one that was asked first is the first to be read, unless a
// loss between the two made the gate ask it anew.
void Client::check_order(const Asked& asked, const Answer& answer) {
  if (stage_.plan.network.delay > 0) return;
  const Daemon& daemon = surroundings_.daemon(plan_.target);
  const Milliseconds quiet_since =
      std::max(daemon.troubled_at(), stage_.judge.disturbed_at(plan_.target));
  auto& all = order_[asked.subject];
  const auto here = all.emplace(asked.index, answer.read_at).first;
  const auto compare = [&](const auto& first, const auto& second) {
    if (second.second <= quiet_since || first.second <= second.second) return;
    fail("order", fmt::format("question {} about {} was read before question {}", second.first,
                              asked.subject, first.first));
  };
  if (here != all.begin()) compare(*std::prev(here), *here);
  if (std::next(here) != all.end()) compare(*here, *std::next(here));
}

void Client::on_event(const Frame& frame) {
  const Header& header = frame.header;
  if (header.procedure == number_of(Remote::CONNECT_EVENT_CONNECTION_CLOSED)) {
    if (!closes_) fail("events", "is told of an end that it did not ask for");
    return;
  }
  if (frame.body.size() < 4) return fail("events", "gets an event without a callback id");
  const auto id = static_cast<std::int32_t>(policy::load_word(frame.body.data()));
  const auto found = subscriptions_.find(id);
  const auto number = decode_event(frame.body.subspan(4));
  const Event* event = number ? stage_.judge.event(*number) : nullptr;
  if (found == subscriptions_.end() || event == nullptr || event->message != header.procedure) {
    return fail("events", fmt::format("gets an event of callback id {} that is none", id));
  }
  Subscription& subscription = found->second;
  stage_.trace.line(fmt::format("{} gets event {}", name(), *number));
  if (subscription.machine && *subscription.machine != event->machine) {
    return fail("events", fmt::format("gets event {} of another machine", *number));
  }
  if (event->registration == subscription.registration) {
    if (event->index != subscription.index + 1) {
      fail("events", fmt::format("gets event {} after missing some, or again", *number));
    }
  } else if (event->registration < subscription.registration) {
    fail("events", fmt::format("gets event {}, of a registration of before", *number));
  }
  subscription.registration = event->registration;
  subscription.index = event->index;
}

// Neither this client nor another of its user at that target has kept the gate waiting.
bool Client::reads_all(Milliseconds since) const {
  return !paused_ && paused_at_ < since && !surroundings_.has_slow_reader(plan_.uid, plan_.target);
}

// Whether what was asked is about something that is well and has been for a while, so that nothing
// but the gate can be why it takes long.
bool Client::well(const Asked& asked) const {
  // Or others, who hold what all may hold together.
  if (limited(stage_.plan, plan_.uid) || stage_.plan.limits.buffer < kUsualBuffer) return false;
  const Milliseconds quiet = asked.at - kGrace;
  const Daemon& daemon = surroundings_.daemon(plan_.target);
  if (!daemon.well() || daemon.troubled_at() > quiet) return false;
  return is_well_else(asked, quiet);
}

// Of a daemon that swallowed a connection and has had no trouble since. Then nothing but finding
// that out, which takes a part of the time for a call, may be why it takes long.
bool Client::should_have_moved(const Asked& asked) const {
  if (limited(stage_.plan, plan_.uid)) return false;
  const Milliseconds limit = surroundings_.call_timeout(plan_.target);
  const Milliseconds found_out = std::max(kLeastMoved, limit / 3);
  const Milliseconds bound = surroundings_.bound(plan_.target) + found_out;
  const Daemon& daemon = surroundings_.daemon(plan_.target);
  return stage_.clock.now() - asked.at > bound && daemon.answers() &&
         daemon.fault_at() <= asked.at && is_well_else(asked, asked.at - kGrace);
}

bool Client::is_well_else(const Asked& asked, Milliseconds quiet) const {
  const Daemon& daemon = surroundings_.daemon(plan_.target);
  if (stage_.judge.disturbed_at(plan_.target) > quiet || !reads_all(asked.at)) return false;
  // Whose own calls hang in number is let ask what is known to be answered.
  const bool risks = stage_.plan.ruin || stage_.plan.severed ||
                     (stage_.plan.partial && plan_.asks == Asks::others);
  if (risks && (!asked.proven || asked.behind || daemon.stuck_at() > asked.at)) return false;
  if (asked.subject >= 0 && daemon.hung(asked.subject)) {
    const bool is_info = asked.procedure == number_of(Remote::DOMAIN_GET_INFO);
    if (!is_info) return false;
    // Where others ask all else, somebody who asks nothing but that has it tried.
    if (stage_.plan.partial) {
      if (!daemon.hangs_partly(asked.subject)) return false;
    } else if (asked.behind || !daemon.answers_info(asked.subject)) {
      return false;
    }
  }
  // One behind another of the same client waits for that.
  const bool hangs = asked.subject == kSweep && daemon.any_hung() &&
                     (!asked.of_states || (asked.behind && !stage_.plan.partial));
  return !hangs && daemon.troubled_at(asked.subject) <= quiet &&
         surroundings_.host().is_well(daemon, quiet);
}

void Client::check() {
  const Milliseconds now = stage_.clock.now();
  if (state_ == State::away || stage_.judge.failed()) return;
  const Milliseconds quiet = stage_.judge.disturbed_at(plan_.target);
  const Milliseconds limit = surroundings_.call_timeout(plan_.target) + kSlack;
  const Milliseconds bound = surroundings_.bound(plan_.target);
  for (const auto& [serial, asked] : outstanding_) {
    const Milliseconds age = now - asked.at;
    if (asked.kind == Kind::open && age > kOpenBound) {
      fail("deadline", fmt::format("the open has not been answered for {} ms", age.count()));
    }
    if (state_ != State::open || asked.kind == Kind::greeting || asked.kind == Kind::open) continue;
    if (asked.at >= stage_.judge.stops_at()) continue;
    const bool waits_for_itself =
        limited(stage_.plan, plan_.uid) || plan_.program == Program::babbler;
    if (age > limit && reads_all(asked.at) && quiet < asked.at && !offended_ && !waits_for_itself) {
      fail("deadline", fmt::format("{}/{} has not been answered for {} ms", asked.procedure, serial,
                                   age.count()));
    }
    if (stage_.plan.chorus && asked.kind == Kind::forbidden && age > kChorus) {
      fail("turns", fmt::format("{}/{} has waited for {} ms for its turn", asked.procedure, serial,
                                age.count()));
    }
    if (asked.kind == Kind::question && !offended_ && should_have_moved(asked)) {
      fail("moved", fmt::format("{}/{} about {} has waited for {} ms, since a connection is dead",
                                asked.procedure, serial, asked.subject, age.count()));
    }
    // Nothing more is read of who has broken the protocol.
    if (asked.kind == Kind::question && age > bound && !offended_ && well(asked)) {
      fail("isolation", fmt::format("{}/{} about {} has waited for {} ms", asked.procedure, serial,
                                    asked.subject, age.count()));
    }
  }
}

std::size_t Client::waiting_subjects() const {
  std::set<Subject> out;
  for (const auto& [serial, asked] : outstanding_) {
    if (asked.kind == Kind::question && well(asked)) out.insert(asked.subject);
  }
  return out.size();
}

bool Client::in_trouble() const {
  return std::ranges::any_of(outstanding_, [&](const auto& one) {
    return one.second.kind == Kind::question && !well(one.second);
  });
}

void Client::on_end() {
  stage_.trace.line(name() + " is told that nothing follows");
  if (state_ != State::leaving) hang_up("has been left");
  stream_->close({Reason::Kind::requested, tunnel::io::Stage::established, "left"});
}

void Client::on_closed(const Reason& reason) {
  stage_.trace.line(fmt::format("{} is gone: {}", name(), reason.text));
  state_ = State::away;
  paused_ = false;
  reading_.stop();
  outstanding_.clear();
  stream_.reset();
  if (!calm_) act_.start(random_.time(100, 4000));
}

}  // namespace simulate
