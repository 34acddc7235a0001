#include "proxy/client/client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "policy/events.h"
#include "policy/libvirt.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace proxy {

using policy::Decision;
using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;
using policy::Frame;
using policy::Header;
using policy::Remote;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

// virConnectCloseReason
constexpr std::int32_t kClosedByError = 0;
constexpr std::int32_t kClosedByEnd = 1;

constexpr std::int32_t kConnectionClosed = policy::number(Remote::CONNECT_EVENT_CONNECTION_CLOSED);
constexpr Milliseconds kRecount{1000};
// A visit, such as that of an exporter or of one command, and a pause between its calls.
constexpr Milliseconds kVisit{3000};
constexpr Milliseconds kPause{1000};

// What else of virDrvFeature concerns one hop; see policy/libvirt.h.
constexpr std::int64_t kFeatureFdPassing = 8;
constexpr std::int64_t kFeatureEventCallback = 14;
constexpr std::int64_t kFeatureCloseCallback = 15;

Header header_of(const Call& call) {
  Header header;
  header.program = call.program;
  header.procedure = call.procedure;
  header.serial = call.serial;
  return header;
}

Amended as_amended(policy::Amendment amendment) {
  return amendment == policy::Amendment::secure_omitted ? Amended::secure_omitted
                                                        : Amended::statistics_kept;
}

}  // namespace

Client::Client(const VisitorDeps& deps, ClientTargets& targets, Arrival arrival,
               const conf::Listen& listen)
    : deps_(deps),
      targets_(targets),
      number_(arrival.number),
      stream_(std::move(arrival.stream)),
      peer_(std::move(arrival.peer)),
      listen_(listen),
      guest_(std::move(arrival.guest)),
      input_(*stream_, deps.clock, *this, deps.limits.max_call),
      pings_(deps.clock.now()),
      holding_(deps.budget, peer_.uid, *this),
      output_(*stream_, holding_, deps.counters.traffic, [this] { wrote(); }),
      turn_(deps.turns, peer_.uid, [this] { release(Input::kTurn); }),
      tick_(deps.clock, [this] { tick(); }),
      seat_(*this, peer_.uid, [this] { release(Input::kQueue); }),
      came_(deps.clock.now()),
      began_(deps.clock.now()),
      active_(deps.clock.now()) {}

void Client::start() {
  stream_->open(*this);
  arm();
}

Line Client::line(Level level, std::string_view event) {
  return deps_.log.audit(level, event, number_, peer_);
}

void Client::on_data(base::Bytes data) {
  active_ = deps_.clock.now();
  pings_.heard(active_);
  bytes_in_ += data.size();
  deps_.counters.traffic.in += data.size();
  input_.feed(data);
}

void Client::on_processed() {
  count_asked();
  if (input_.broken()) {
    close({Reason::Kind::protocol, Stage::established, "it " + input_.breach()});
  }
}

void Client::release(Input::Hold reason) {
  if (input_.release(reason)) pings_.was_deaf(deps_.clock.now());
}

void Client::before_frame() {
  if (turn_.must_wait()) input_.hold(Input::kTurn);
  if (phase_ == Phase::open && seat_.share().must_wait_to_take()) input_.hold(Input::kQueue);
}

void Client::on_frame(const Frame& frame) {
  const Turns::Part::Work work(turn_, frame.header.length);
  base::Buffer encoded;
  policy::Verdict verdict = policy::judge(frame.header, frame.body, encoded);
  const bool call = verdict.decision == Decision::forward || verdict.decision == Decision::answer ||
                    verdict.decision == Decision::refuse;
  if (call && !leaving_.turned_away().text.empty()) {
    refuse(frame.header, Refusal::limit, leaving_.turned_away());
    return leave();
  }
  if (call) pay();
  if (call && verdict.decision != Decision::refuse && phase_ == Phase::open) {
    if (auto fault = seat_.forbidden(verdict)) {
      return refuse(frame.header, Refusal::rule, *fault);
    }
  }
  switch (verdict.decision) {
    case Decision::forward:
      if (verdict.arguments.amendment != policy::Amendment::none) {
        amended(*verdict.procedure, as_amended(verdict.arguments.amendment));
      }
      return forward(frame.header, policy::subject_of(*verdict.procedure, verdict.arguments),
                     std::move(encoded));
    case Decision::answer:
      return answer(frame.header, verdict, std::move(encoded));
    case Decision::refuse:
      if (phase_ == Phase::open && seat_.pretends(verdict)) {
        amended(*verdict.procedure, Amended::pretended);
        return reply(frame.header, {});
      }
      return refuse(frame.header, Refusal::policy, verdict.fault);
    case Decision::ping:
      return output_.keepalive(policy::Keepalive::pong);
    case Decision::ignore:
      return;
    case Decision::end:
      break;
  }
  refuse(frame.header, Refusal::policy, verdict.fault);
  leave();
}

Call Client::make_call(const Header& header, base::Buffer encoded) const {
  Call call;
  call.program = header.program;
  call.procedure = header.procedure;
  call.serial = header.serial;
  call.began = deps_.clock.now();
  call.body = std::move(encoded);
  return call;
}

void Client::forward(const Header& header, policy::Subject subject, base::Buffer encoded) {
  if (phase_ != Phase::open) {
    return refuse(header, Refusal::order,
                  {ErrorCode::internal_error, ErrorDomain::rpc, "hypervisor connection not open"});
  }
  taken();
  bodies_ += encoded.size();
  count_asked();
  Call call = make_call(header, std::move(encoded));
  call.subject = std::move(subject);
  seat_.pool()->submit(seat_.lane(), std::move(call));
}

void Client::taken() {
  ++calls_;
  count(Fate::passed);
  seat_.share().took();
  if (++outstanding_ >= deps_.limits.calls_per_client) input_.hold(Input::kCalls);
}

// Whoever owes is not read from until that is paid.
void Client::pay() {
  if (phase_ != Phase::open) return;
  const Milliseconds now = deps_.clock.now();
  seat_.share().spend(now);
  const Milliseconds wait = seat_.share().wait(now);
  if (wait.count() == 0) return;
  pays_at_ = now + wait;
  input_.hold(Input::kRate);
  arm();
}

void Client::done() {
  CHECK(outstanding_ > 0);
  --outstanding_;
  seat_.share().answered();
  active_ = deps_.clock.now();
  if (phase_ == Phase::leaving) return end_output_when_answered();
  release(Input::kCalls);
}

void Client::on_reply(const Call& call, policy::Status status, base::Bytes body,
                      const base::Keeper& keeper) {
  const Header header = header_of(call);
  output_.reply(header, status, body, keeper);
  count_end(call, status == policy::Status::ok ? Outcome::ok : Outcome::error);
  record_call(header, status == policy::Status::ok ? "ok" : "error", call.began);
  answered(call);
}

void Client::on_call_failed(const Call& call, const Fault& fault) {
  const Header header = header_of(call);
  say_fault(header, fault);
  count_end(call, fault.code == ErrorCode::operation_timeout ? Outcome::timeout : Outcome::failed);
  record_call(header, "failed", call.began);
  answered(call);
}

void Client::wrote() {
  if (output_.is_full()) input_.hold(Input::kOutput);
  if (holding_.unread() > 0 && !tick_.running()) arm();
}

bool Client::can_take_reply() { return !output_.is_full() && !holding_.must_wait_to_answer(); }

void Client::on_may_answer() { seat_.wake(); }

void Client::count_asked() {
  holding_.set_asked(input_.bytes() + bodies_);
  if (holding_.must_wait_to_ask()) input_.hold(Input::kAsking);
}

void Client::answered(const Call& call) {
  CHECK(bodies_ >= call.body.size());
  bodies_ -= call.body.size();
  count_asked();
  done();
}

void Client::on_event(std::int32_t procedure, base::Bytes first, base::Bytes rest) {
  if (phase_ != Phase::open) return;
  const std::size_t size = first.size() + rest.size();
  if (!output_.has_room(size, deps_.limits.client_buffer)) {
    return close({Reason::Kind::timeout, Stage::established, "it does not read its events"});
  }
  if (!holding_.has_room(policy::kHeaderSize + size)) {
    return close({Reason::Kind::timeout, Stage::established,
                  "the clients of its user do not read what they get"});
  }
  output_.event(procedure, first, rest);
  ++seat_.pool()->counters().events;
}

void Client::send_closed_event(std::int32_t why) {
  if (!close_callback_ || phase_ != Phase::open) return;
  base::Buffer body;
  policy::XdrWriter(body).number(why);
  on_event(kConnectionClosed, body, {});
}

void Client::on_events_lost(const Fault& fault) {
  if (phase_ != Phase::open) return;
  line(Level::warning, "events-lost").with("reason", fault.text);
  leave({.closed_event = kClosedByError, .patience = {}});
}

void Client::reply(const Header& call, base::Bytes body) {
  output_.reply(call, policy::Status::ok, body);
  count(Fate::answered);
}

void Client::refuse(const Header& call, Refusal why, const Fault& fault) {
  count(Fate::refused);
  deps_.counters.refusals.add(why);
  say_fault(call, fault);
}

Fault Client::say_fault(const Header& call, const Fault& fault) {
  Told told = deps_.owner.tell(peer_, fault);
  log_refusal(call, fault, told.reference);
  told.fault.text = base::printable(told.fault.text, 4096);
  output_.error(call, told.fault);
  return std::move(told.fault);
}

void Client::log_refusal(const Header& call, const Fault& fault, const std::string& reference) {
  ++refusals_;
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  Line refusal = line(Level::warning, "refused");
  refusal.with("procedure", row == nullptr ? std::string_view("unknown") : row->name);
  refusal.with("number", call.procedure).with("reason", fault.text);
  seat_.describe(refusal);
  if (!reference.empty()) refusal.with("reference", reference);
}

void Client::record_call(const Header& call, std::string_view status, Milliseconds since) {
  if (!deps_.log.wants_calls()) return;
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  line(Level::debug, "call")
      .with("target", seat_.target())
      .with("procedure", row == nullptr ? std::string_view("unknown") : row->name)
      .with("number", call.procedure)
      .with("status", status)
      .with("ms", (deps_.clock.now() - since).count());
}

void Client::on_drain() {
  holding_.recount();
  release(Input::kOutput);
  seat_.wake();
}

void Client::close(Reason reason) {
  if (phase_ == Phase::opening) opening_.reset();
  phase_ = Phase::leaving;
  leaving_.cut();
  input_.hold(Input::kLeaving);
  stream_->close(std::move(reason));
}

void Client::on_closed(const Reason& closed_for) {
  const Reason reason = closed_for;
  seat_.leave();
  tick_.stop();
  line(Level::info, "close")
      .with("target", seat_.target())
      .with("calls", static_cast<std::int64_t>(calls_))
      .with("refused", static_cast<std::int64_t>(refusals_))
      .with("bytes_in", static_cast<std::int64_t>(bytes_in_))
      .with("bytes_out", static_cast<std::int64_t>(output_.bytes()))
      .with("ms", (deps_.clock.now() - came_).count())
      .with("reason", reason.text);
  end_.reason = reason;
  deps_.owner.on_visitor_gone(*this);
}

void Client::arm() { proxy::arm(tick_, deadlines(), deps_.clock.now()); }

void Client::tick() {
  act(*this, deadlines(), deps_.clock.now());
  arm();
}

std::array<Deadline<Client>, 7> Client::deadlines() const {
  if (leaving_.is_cut()) return {};
  const conf::Limits& limits = deps_.limits;
  const bool must_open = phase_ == Phase::greeting && !leaving_.by();
  const Milliseconds unfinished = input_.unfinished_since().value_or(Milliseconds(0));
  const bool pings = pings_.agreed() && phase_ == Phase::open;
  return {{
      {leaving_.by(), &Client::patience_is_over},
      {due_if(must_open, began_ + limits.open_timeout), &Client::opened_nothing},
      {due_if(holding_.unread() > 0, holding_.recounted_at() + kRecount), &Client::check_reading},
      {due_if(input_.unfinished_since().has_value(), unfinished + limits.write_timeout),
       &Client::sent_no_whole_message},
      {due_if(pings, pings_.next(limits.keepalive_interval)), &Client::keep_alive},
      {due_if(input_.held_for(Input::kRate), pays_at_), &Client::may_have_paid},
      {leaving_.look_at(), &Client::leave_unless_just_came},
  }};
}

void Client::patience_is_over() {
  holding_.recount();
  if (holding_.unread() == 0) {
    return close({Reason::Kind::requested, Stage::established, "closed"});
  }
  close({Reason::Kind::timeout, Stage::established, "it did not read its last answers"});
}

void Client::opened_nothing() {
  close({Reason::Kind::timeout, Stage::open, "it opened nothing in time"});
}

void Client::check_reading() {
  holding_.recount();
  if (holding_.unread() == 0) return;
  if (deps_.clock.now() - holding_.read_at() < deps_.limits.write_timeout) return;
  close({Reason::Kind::timeout, Stage::established, "it does not read its answers"});
}

void Client::sent_no_whole_message() {
  close({Reason::Kind::timeout, Stage::established, "it does not finish what it says"});
}

void Client::keep_alive() {
  // A client that is not read from cannot be heard.
  if (input_.held()) pings_.was_deaf(deps_.clock.now());
  if (deps_.clock.now() < pings_.next(deps_.limits.keepalive_interval)) return;
  if (!pings_.ping(deps_.limits.keepalive_count)) {
    return close({Reason::Kind::timeout, Stage::established, "it answered no keepalive"});
  }
  output_.keepalive(policy::Keepalive::ping);
}

// Other clients of the same user may have taken what came in.
void Client::may_have_paid() {
  const Milliseconds now = deps_.clock.now();
  const Milliseconds wait = seat_.share().wait(now);
  if (wait.count() == 0) return release(Input::kRate);
  pays_at_ = now + wait;
}

void Client::answer(const Header& header, const policy::Verdict& verdict, base::Buffer encoded) {
  if (policy::find_event_call(header.procedure) != nullptr) {
    return answer_event_call(header, verdict.arguments);
  }
  switch (static_cast<Remote>(header.procedure)) {
    case Remote::AUTH_LIST: {
      base::Buffer none;
      policy::XdrWriter writer(none);
      writer.number(1);
      writer.number(0);
      return reply(header, none);
    }
    case Remote::CONNECT_OPEN:
      return answer_open(header, verdict.arguments);
    case Remote::CONNECT_CLOSE:
      return answer_close(header);
    case Remote::CONNECT_SUPPORTS_FEATURE:
      return answer_feature(header, verdict.arguments[0].number, std::move(encoded));
    case Remote::CONNECT_REGISTER_CLOSE_CALLBACK:
    case Remote::CONNECT_UNREGISTER_CLOSE_CALLBACK:
      close_callback_ = header.procedure == policy::number(Remote::CONNECT_REGISTER_CLOSE_CALLBACK);
      return reply(header, {});
    default:
      return refuse(header, Refusal::order,
                    {ErrorCode::auth_failed, ErrorDomain::rpc,
                     "no authentication is asked for on this socket"});
  }
}

void Client::answer_open(const Header& header, const policy::Arguments& arguments) {
  if (phase_ != Phase::greeting) {
    return refuse(header, Refusal::order,
                  {ErrorCode::internal_error, ErrorDomain::rpc, "connection already open"});
  }
  const policy::Argument& name = arguments[0];
  phase_ = Phase::opening;
  opening_ = std::make_unique<Opening>(
      header, name.present ? std::optional<std::string>(name.text) : std::nullopt);
  input_.hold(Input::kOpening);
  arm();
  begin_open();
}

void Client::begin_open() {
  opening_->begin({});
  seat_.forget();
  auto found = targets_.resolve(listen_, peer_, opening_->name());
  if (!found) return open_failed(Refusal::name, found.error());
  opening_->begin(std::move(found).value());
  const Candidate* first = opening_->next();
  CHECK(first != nullptr);
  try_target(*first);
}

void Client::try_target(const Candidate& candidate) {
  auto refused =
      seat_.take(candidate, targets_.pool(candidate.target), share_of(candidate.grant.rule()));
  if (refused) return open_failed(refused->why, refused->fault);
  holding_.enter(candidate.target);
  if (seat_.attach()) on_target_ready();
}

Share* Client::share_of(const policy::AccessRule* rule) {
  return rule == nullptr ? nullptr : &targets_.share(*rule, peer_.uid);
}

// Programs ask again and again, so the log has the first of each kind.
void Client::amended(const policy::Procedure& procedure, Amended how) {
  if (seat_.pool() == nullptr) return;
  seat_.pool()->counters().amended.add(how);
  const auto bit = static_cast<std::uint8_t>(1U << static_cast<unsigned>(how));
  if ((amended_ & bit) != 0) return;
  amended_ |= bit;
  line(Level::info, "amended")
      .with("target", seat_.target())
      .with("procedure", procedure.name)
      .with("how", Amendments::names()[static_cast<std::size_t>(how)]);
}

void Client::on_target_ready() {
  if (phase_ != Phase::opening) return;
  phase_ = Phase::open;
  end_.opened = true;
  opened_ = active_ = deps_.clock.now();
  const Header call = opening_->call();
  opening_.reset();
  {
    Line opened = line(Level::info, "open");
    seat_.describe(opened);
  }
  reply(call, {});
  arm();
  release(Input::kOpening);
}

void Client::on_target_failed(const Fault& fault) {
  if (phase_ == Phase::opening) return open_failed(Refusal::target, fault);
  // It knows us no more, and may go before we do.
  seat_.forget_pool();
}

void Client::open_failed(Refusal why, const Fault& fault) {
  seat_.leave_share();
  if (const Candidate* next = opening_->next()) return try_target(*next);
  phase_ = Phase::greeting;
  // Only who named what may be is given more time.
  if (why != Refusal::name) began_ = deps_.clock.now();
  seat_.forget_pool();
  const Header call = opening_->call();
  opening_.reset();
  count(Fate::refused);
  deps_.counters.refusals.add(why);
  end_.failure = say_fault(call, fault);
  arm();
  release(Input::kOpening);
}

// Whatever becomes of it, nothing of the rules of before is kept: they are about to go.
void Client::regrant() {
  seat_.leave_share();
  if (phase_ != Phase::open) seat_.forget_rules();
  if (phase_ == Phase::opening) {
    seat_.leave();
    return begin_open();
  }
  if (phase_ != Phase::open) return;
  const auto grant = targets_.grant(peer_, *seat_.pool());
  if (!grant || seat_.loses_events(grant.value())) {
    seat_.forget_rules();
    line(Level::info, "revoked")
        .with("target", seat_.target())
        .with("reason", grant ? std::string_view("it gets events that it may not have any more")
                              : std::string_view(grant.error()));
    return leave({.closed_event = kClosedByEnd, .patience = {}});
  }
  seat_.regrant(grant.value(), share_of(grant.value().rule()));
  // Calls of the user's other clients count once the new rule is theirs too.
  if (seat_.share().must_wait_for_others()) {
    input_.hold(Input::kQueue);
  } else {
    release(Input::kQueue);
  }
  may_have_paid();
}

void Client::answer_feature(const Header& header, std::int64_t feature, base::Buffer encoded) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  if (feature == policy::kFeatureKeepalive) {
    pings_.agree(deps_.limits.keepalive_interval.count() > 0);
    writer.number(pings_.agreed() ? 1 : 0);
    arm();
    return reply(header, body);
  }
  if (phase_ != Phase::open) return forward(header, {}, {});
  if (feature == kFeatureEventCallback || feature == kFeatureCloseCallback) {
    writer.number(1);
    return reply(header, body);
  }
  if (feature == kFeatureFdPassing) {
    writer.number(0);
    return reply(header, body);
  }
  const policy::Procedure& row = policy::find_procedure(Remote::CONNECT_SUPPORTS_FEATURE);
  forward(header, policy::subject_of(row, {}), std::move(encoded));
}

void Client::answer_event_call(const Header& header, const policy::Arguments& arguments) {
  if (phase_ != Phase::open) return forward(header, {}, {});
  const policy::EventCall* how = policy::find_event_call(header.procedure);
  const auto id = arguments.count > 0 ? static_cast<std::int32_t>(arguments[0].number) : 0;
  Call call = make_call(header, {});
  call.deadline = seat_.pool()->deadline();
  if (how->adds && seat_.lane().subscriptions >= deps_.limits.registrations_per_client) {
    return refuse(header, Refusal::limit,
                  {ErrorCode::internal_error, ErrorDomain::rpc,
                   "too many event registrations on this connection"});
  }
  taken();
  if (!how->adds) return seat_.pool()->events().unsubscribe(seat_.lane(), call, id);
  const base::Bytes object = arguments.count > 1 ? arguments[1].encoded : base::Bytes();
  const base::Bytes key = arguments.count > 1 ? arguments[1].key : base::Bytes();
  seat_.pool()->events().subscribe(seat_.lane(), std::move(call), id, object, key);
}

void Client::answer_close(const Header& header) {
  reply(header, {});
  leave();
}

// Every call on the way out comes through here; only close() does not wait for answers.
void Client::leave(const Farewell& how) {
  if (phase_ == Phase::leaving) return;
  if (how.closed_event) send_closed_event(*how.closed_event);
  const Milliseconds patience =
      how.patience.value_or(std::max(Leaving::kGoodbye, deps_.limits.drain_timeout));
  phase_ = Phase::leaving;
  leaving_.begin(deps_.clock.now(), patience);
  input_.hold(Input::kLeaving);
  end_output_when_answered();
}

// When the last answer has been written, the other side is told that nothing follows.
void Client::end_output_when_answered() {
  if (outstanding_ == 0 && !leaving_.ended_output()) {
    const bool reads_on = guest_.answer_after_end && holding_.unread() > 0;
    leaving_.end_output(deps_.clock.now(),
                        reads_on ? deps_.limits.write_timeout : Leaving::kGoodbye);
    stream_->end();
    input_.drop();
  }
  arm();
}

void Client::turn_away(Fault why) {
  leaving_.turn_away(std::move(why), deps_.clock.now());
  arm();
}

void Client::on_end() {
  if (guest_.answer_after_end && phase_ != Phase::leaving) {
    const Milliseconds time =
        seat_.pool() == nullptr ? Milliseconds(0) : seat_.pool()->target().call_timeout;
    return leave({.closed_event = {}, .patience = time + Leaving::kGoodbye});
  }
  // It said goodbye before the end, and has still to read; leaving_ bounds that.
  if (guest_.answer_after_end && (outstanding_ > 0 || holding_.unread() > 0)) return;
  close({Reason::Kind::end, Stage::established, "the client closed the connection"});
}

void Client::drain(std::string_view why) {
  if (phase_ == Phase::leaving) return;
  line(Level::debug, "drain").with("reason", why);
  leaving_.drain(deps_.clock.now());
  leave_unless_just_came();
}

// The end of the connection would look like a failure of what the client is in the middle of.
bool Client::just_came() const {
  const Milliseconds now = deps_.clock.now();
  // Whoever stops a bridge stops its one client.
  if (guest_.gone) return false;
  if (phase_ == Phase::opening) return true;
  if (phase_ == Phase::open && now - opened_ >= kVisit) return false;
  return outstanding_ > 0 || now - active_ < kPause;
}

void Client::leave_unless_just_came() {
  if (!just_came()) return leave({.closed_event = kClosedByEnd, .patience = {}});
  leaving_.look_again(deps_.clock.now());
  arm();
}

void Client::count(Fate fate) {
  (seat_.pool() == nullptr ? deps_.counters.none() : seat_.pool()->counters()).calls.add(fate);
}

void Client::count_end(const Call& call, Outcome outcome) {
  TargetCounters& counters = seat_.pool()->counters();
  counters.replies.add(outcome);
  counters.durations.add(deps_.clock.now() - call.began);
}

ClientSnapshot Client::snapshot() const {
  static constexpr std::array<std::string_view, 4> kStates = {"greeting", "opening", "open",
                                                              "leaving"};
  ClientSnapshot out;
  out.number = static_cast<std::uint64_t>(number_);
  out.uid = peer_.uid;
  out.pid = static_cast<std::uint64_t>(peer_.pid);
  if (seat_.pool() != nullptr) out.target = seat_.target();
  out.state = kStates[static_cast<std::size_t>(phase_)];
  out.calls = calls_;
  out.refused = refusals_;
  out.outstanding = outstanding_;
  out.buffered = holding_.unread();
  out.bytes_in = bytes_in_;
  out.bytes_out = output_.bytes();
  out.age_ms = milliseconds_since(came_, deps_.clock.now());
  return out;
}

}  // namespace proxy
