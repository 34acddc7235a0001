#include "proxy/client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "policy/events.h"
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
using tunnel::io::Stream;

namespace {

constexpr unsigned kHeld = 1;  // the one reason for which a client's stream is paused

constexpr std::int32_t kClosedByError = 0;  // virConnectCloseReason

constexpr std::int32_t kConnectionClosed =
    static_cast<std::int32_t>(Remote::CONNECT_EVENT_CONNECTION_CLOSED);
constexpr std::uint32_t kEventSerial = 1;  // daemons send events with this serial
constexpr Milliseconds kRecount{1000};
constexpr Milliseconds kLookAgain{50};

}  // namespace

Client::Client(const Place& place, std::int64_t number, std::unique_ptr<Stream> stream,
               tunnel::io::Peer peer, const conf::Listen& listen, User& user, Guest guest)
    : place_(place),
      number_(number),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      listen_(listen),
      user_(user),
      guest_(std::move(guest)),
      reader_(place.limits.max_call),
      tick_(place.clock, [this] { tick(); }),
      lane_(*this, peer_.uid),
      came_(place.clock.now()),
      began_(place.clock.now()),
      last_heard_(place.clock.now()),
      active_(place.clock.now()) {}

void Client::start() {
  stream_->open(*this);
  arm();
}

Line Client::line(Level level, std::string_view event) {
  return place_.log.audit(level, event, number_, peer_);
}

void Client::on_data(base::Bytes data) {
  last_heard_ = place_.clock.now();
  active_ = last_heard_;
  bytes_in_ += data.size();
  place_.counters.traffic.in += data.size();
  pings_unanswered_ = 0;
  if (state_ == State::leaving) return;
  if (hold_ != 0) return base::append(backlog_, data);
  reader_.feed(data);
  process();
}

void Client::process() {
  processing_ = true;
  while (hold_ == 0) {
    const std::optional<Frame> frame = reader_.next();
    if (!frame) break;
    unfinished_since_.reset();
    on_frame(*frame);
  }
  processing_ = false;
  if (hold_ == 0 && reader_.held() > 0 && !unfinished_since_) {
    unfinished_since_ = place_.clock.now();
    arm();
  }
  const base::Bytes rest = reader_.take_rest();
  if (state_ != State::leaving) base::append(backlog_, rest);
  count_asked();
  pause_or_resume();
  if (reader_.broken()) {
    close({Reason::Kind::protocol, Stage::established,
           "it announced a message of " + std::to_string(reader_.broken_length()) + " bytes"});
  }
}

void Client::hold(Hold reason) {
  hold_ |= reason;
  pause_or_resume();
}

void Client::release(Hold reason) {
  if ((hold_ & reason) == 0) return;
  hold_ = static_cast<std::uint8_t>(hold_ & ~reason);
  if (hold_ != 0) return;
  last_heard_ = place_.clock.now();
  if (processing_) return;
  const base::Buffer backlog = std::exchange(backlog_, {});
  reader_.feed(backlog);
  process();
}

void Client::pause_or_resume() {
  // What a leaving client still sends is read and dropped, to see the end of it.
  const bool pause = hold_ != 0 && !ended_output_;
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    stream_->pause(kHeld);
  } else {
    stream_->resume(kHeld);
  }
}

void Client::on_frame(const Frame& frame) {
  base::Buffer encoded;
  policy::Verdict verdict = policy::judge(frame.header, frame.body, encoded);
  const bool call = verdict.decision == Decision::forward || verdict.decision == Decision::answer ||
                    verdict.decision == Decision::refuse;
  if (call && !turned_away_.empty()) {
    refuse(frame.header, Refusal::limit,
           {ErrorCode::operation_denied, ErrorDomain::rpc, turned_away_});
    return leave_when_done();
  }
  if (call) pay();
  if (call && verdict.decision != Decision::refuse) {
    if (auto fault = forbidden(*verdict.procedure)) {
      return refuse(frame.header, Refusal::rule, *std::move(fault));
    }
  }
  switch (verdict.decision) {
    case Decision::forward:
      return forward(frame.header, std::move(encoded));
    case Decision::answer:
      return answer(frame.header, verdict, std::move(encoded));
    case Decision::refuse:
      return refuse(frame.header, Refusal::policy, std::move(verdict.fault));
    case Decision::ping:
      stream_->write(policy::keepalive_frame(policy::Keepalive::pong));
      return wrote();
    case Decision::ignore:
      return;
    case Decision::end:
      break;
  }
  refuse(frame.header, Refusal::policy, std::move(verdict.fault));
  leave_when_done();
}

Call Client::make_call(const Header& header, base::Buffer encoded) const {
  Call call;
  call.program = header.program;
  call.procedure = header.procedure;
  call.serial = header.serial;
  call.began = place_.clock.now();
  call.body = std::move(encoded);
  return call;
}

void Client::forward(const Header& header, base::Buffer encoded) {
  if (state_ != State::open) {
    return refuse(header, Refusal::order,
                  {ErrorCode::internal_error, ErrorDomain::rpc, "hypervisor connection not open"});
  }
  taken();
  bodies_ += encoded.size();
  count_asked();
  pool_->submit(lane_, make_call(header, std::move(encoded)));
}

void Client::taken() {
  ++calls_;
  count(Fate::passed);
  std::uint32_t most = place_.limits.calls_per_client;
  if (share_ != nullptr && share_->limits().queue != 0) {
    most = std::min(most, share_->limits().queue);
  }
  if (++outstanding_ >= most) hold(kCalls);
}

// Whoever owes is not read from until that is paid.
void Client::pay() {
  if (share_ == nullptr || state_ != State::open) return;
  const Milliseconds now = place_.clock.now();
  share_->spend(now);
  const Milliseconds wait = share_->wait(now);
  if (wait.count() == 0) return;
  pays_at_ = now + wait;
  hold(kRate);
  arm();
}

void Client::done() {
  CHECK(outstanding_ > 0);
  --outstanding_;
  active_ = place_.clock.now();
  if (state_ == State::leaving) return leave_when_done();
  release(kCalls);
}

void Client::on_reply(const Call& call, policy::Status status, base::Bytes body) {
  Header header;
  header.program = call.program;
  header.procedure = call.procedure;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  header.serial = call.serial;
  header.status = static_cast<std::uint32_t>(status);
  header.length = policy::kHeaderSize + static_cast<std::uint32_t>(body.size());
  send(header, body);
  count_end(call, status == policy::Status::ok ? Outcome::ok : Outcome::error);
  record_call(header, status == policy::Status::ok ? "ok" : "error", call.began);
  answered(call);
}

void Client::on_call_failed(const Call& call, const Fault& fault) {
  Header header;
  header.program = call.program;
  header.procedure = call.procedure;
  header.serial = call.serial;
  say_fault(header, fault);
  count_end(call, fault.code == ErrorCode::operation_timeout ? Outcome::timeout : Outcome::failed);
  record_call(header, "failed", call.began);
  answered(call);
}

void Client::send(const Header& header, base::Bytes body, base::Bytes rest) {
  stream_->write(policy::encode_header(header));
  if (!body.empty()) stream_->write(body);
  if (!rest.empty()) stream_->write(rest);
  bytes_out_ += header.length;
  place_.counters.traffic.out += header.length;
  wrote();
}

void Client::on_event(std::int32_t procedure, base::Bytes first, base::Bytes rest) {
  if (state_ != State::open) return;
  Header header;
  header.procedure = procedure;
  header.type = static_cast<std::uint32_t>(policy::Type::message);
  header.serial = kEventSerial;
  header.length = policy::kHeaderSize + static_cast<std::uint32_t>(first.size() + rest.size());
  if (!has_room(header.length)) {
    return close({Reason::Kind::timeout, Stage::established, "it does not read its events"});
  }
  if (!user_has_room(header.length)) {
    return close({Reason::Kind::timeout, Stage::established,
                  "the clients of its user do not read what they get"});
  }
  send(header, first, rest);
  ++pool_->counters().events;
}

void Client::send_closed_event(std::int32_t why) {
  if (!close_callback_ || state_ != State::open) return;
  base::Buffer body;
  policy::XdrWriter(body).number(why);
  on_event(kConnectionClosed, body, {});
}

void Client::on_events_lost(const Fault& fault) {
  if (state_ != State::open) return;
  line(Level::warning, "events-lost").with("reason", fault.text);
  send_closed_event(kClosedByError);
  leave_when_done();
}

void Client::reply(const Header& call, base::Bytes body) {
  Header header = call;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  header.status = static_cast<std::uint32_t>(policy::Status::ok);
  header.length = policy::kHeaderSize + static_cast<std::uint32_t>(body.size());
  send(header, body);
  count(Fate::answered);
}

void Client::refuse(const Header& call, Refusal why, Fault fault) {
  count(Fate::refused);
  place_.counters.refusals.add(why);
  say_fault(call, std::move(fault));
}

void Client::say_fault(const Header& call, Fault fault) {
  fault.text = base::printable(fault.text, 4096);
  log_refusal(call, fault);
  base::Buffer frame;
  policy::append_error_reply(frame, call, fault);
  stream_->write(frame);
  bytes_out_ += frame.size();
  place_.counters.traffic.out += frame.size();
  wrote();
}

void Client::log_refusal(const Header& call, const Fault& fault) {
  ++refusals_;
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  Line refusal = line(Level::warning, "refused");
  refusal.with("procedure", row == nullptr ? std::string_view("unknown") : row->name);
  refusal.with("number", call.procedure).with("reason", fault.text);
  if (pool_ != nullptr) refusal.with("target", pool_->target().name);
  if (grant_.rule() != nullptr) refusal.with("rule", grant_.because());
}

void Client::record_call(const Header& call, std::string_view status, Milliseconds since) {
  if (!place_.log.wants_calls()) return;
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  line(Level::debug, "call")
      .with("target", pool_ == nullptr ? std::string_view("-") : pool_->target().name)
      .with("procedure", row == nullptr ? std::string_view("unknown") : row->name)
      .with("number", call.procedure)
      .with("status", status)
      .with("ms", (place_.clock.now() - since).count());
}

void Client::on_drain() {
  recount();
  release(kOutput);
  if (pool_ != nullptr) pool_->wake(lane_);
}

void Client::close(Reason reason) {
  if (state_ == State::opening) opening_.reset();
  state_ = State::leaving;
  hold_ |= kLeaving;
  stream_->close(std::move(reason));
}

void Client::on_closed(const Reason& closed_for) {
  const Reason reason = closed_for;
  if (pool_ != nullptr) pool_->leave(lane_);
  leave_share();
  tick_.stop();
  user_.held.erase(this);
  user_.writing.erase(this);
  user_.buffered -= std::exchange(counted_, 0);
  user_.unheard.erase(this);
  user_.asking -= std::exchange(asked_, 0);
  hear_again();
  line(Level::info, "close")
      .with("target", pool_ == nullptr ? std::string_view("-") : pool_->target().name)
      .with("calls", static_cast<std::int64_t>(calls_))
      .with("refused", static_cast<std::int64_t>(refusals_))
      .with("bytes_in", static_cast<std::int64_t>(bytes_in_))
      .with("bytes_out", static_cast<std::int64_t>(bytes_out_))
      .with("ms", (place_.clock.now() - came_).count())
      .with("reason", reason.text);
  end_.reason = reason;
  place_.owner.on_client_gone(*this);
}

void Client::arm() {
  const Milliseconds now = place_.clock.now();
  std::optional<Milliseconds> due;
  const auto consider = [&](Milliseconds when) { due = due ? std::min(*due, when) : when; };
  if (leave_by_.count() > 0) consider(leave_by_);
  if (state_ == State::greeting && leave_by_.count() == 0)
    consider(began_ + place_.limits.open_timeout);
  if (keepalive_ && state_ == State::open)
    consider(last_heard_ + place_.limits.keepalive_interval * (pings_unanswered_ + 1));
  if (counted_ > 0) consider(now + kRecount);
  if (unfinished_since_) consider(*unfinished_since_ + place_.limits.write_timeout);
  if ((hold_ & kRate) != 0) consider(pays_at_);
  if (draining_ && state_ != State::leaving) consider(now + kLookAgain);
  if (!due) return tick_.stop();
  tick_.start(std::max(Milliseconds(0), *due - now));
}

void Client::tick() {
  const Milliseconds now = place_.clock.now();
  if (counted_ > 0) recount();
  if (leave_by_.count() > 0 && now >= leave_by_) {
    if (counted_ == 0) return close({Reason::Kind::requested, Stage::established, "closed"});
    return close({Reason::Kind::timeout, Stage::established, "it did not read its last answers"});
  }
  if (state_ == State::greeting && leave_by_.count() == 0 &&
      now >= began_ + place_.limits.open_timeout) {
    return close({Reason::Kind::timeout, Stage::open, "it opened nothing in time"});
  }
  if (counted_ > 0 && now - last_progress_ >= place_.limits.write_timeout) {
    return close({Reason::Kind::timeout, Stage::established, "it does not read its answers"});
  }
  if (unfinished_since_ && now - *unfinished_since_ >= place_.limits.write_timeout) {
    return close({Reason::Kind::timeout, Stage::established, "it does not finish what it says"});
  }
  if (keepalive_ && state_ == State::open) keep_alive();
  if ((hold_ & kRate) != 0 && now >= pays_at_) may_have_paid();
  if (draining_ && state_ != State::leaving) return leave_unless_just_came();
  arm();
}

// Other clients of the same user may have taken what came in.
void Client::may_have_paid() {
  const Milliseconds now = place_.clock.now();
  const Milliseconds wait = share_ == nullptr ? Milliseconds(0) : share_->wait(now);
  if (wait.count() == 0) return release(kRate);
  pays_at_ = now + wait;
}

void Client::keep_alive() {
  if (hold_ != 0) last_heard_ = place_.clock.now();
  const Milliseconds silent = place_.clock.now() - last_heard_;
  if (silent < place_.limits.keepalive_interval * (pings_unanswered_ + 1)) return;
  if (pings_unanswered_ >= place_.limits.keepalive_count) {
    return close({Reason::Kind::timeout, Stage::established, "it answered no keepalive"});
  }
  ++pings_unanswered_;
  stream_->write(policy::keepalive_frame(policy::Keepalive::ping));
  wrote();
}

}  // namespace proxy
