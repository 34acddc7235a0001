#include "proxy/xend/xend_session.h"

#include <algorithm>
#include <utility>

#include "policy/xend_response.h"

namespace proxy {

using policy::XendRequest;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

// A client that is answered before it has sent everything, a body for example, would lose the
// answer if the connection were cut at once: so much of it, for so long, is read and dropped.
constexpr std::size_t kMostDropped = std::size_t{256} * 1024;
constexpr Milliseconds kGoodbye{3000};
constexpr Milliseconds kRecount{1000};

}  // namespace

XendSession::XendSession(const VisitorDeps& deps, XendTargets& targets, Arrival arrival,
                         XendPool& pool)
    : deps_(deps),
      targets_(targets),
      number_(arrival.number),
      stream_(std::move(arrival.stream)),
      peer_(std::move(arrival.peer)),
      holding_(deps.budget, peer_.uid, *this),
      pool_(&pool),
      guest_(std::move(arrival.guest)),
      tick_(deps.clock, [this] { tick(); }),
      turn_(deps.turns, peer_.uid, [this] { clean(); }),
      began_(deps.clock.now()) {
  holding_.enter(pool_->target().name);
  pool_->attach();
}

XendSession::~XendSession() { pool_->detach(); }

void XendSession::start() {
  stream_->open(*this);
  arm();
}

Line XendSession::line(Level level, std::string_view event) {
  Line line = deps_.log.audit(level, event, number_, peer_);
  line.with("target", pool_->target().name);
  return line;
}

void XendSession::turn_away(policy::Fault why) {
  refuse(Refusal::limit, policy::http_text(policy::http::kUnavailable, why.text), why.text);
}

void XendSession::regrant() {
  if (phase_ != Phase::reading) return;
  const auto xend = targets_.xend(peer_, pool_->target().name);
  if (!xend) {
    pool_->counters().calls.add(Fate::refused);
    deps_.counters.refusals.add(Refusal::rule);
    return tell(policy::http::kForbidden, xend.error());
  }
  xend.value()->attach();
  std::exchange(pool_, xend.value())->detach();
}

void XendSession::tell(int status, const policy::Fault& fault) {
  const Told told = deps_.owner.tell(peer_, fault);
  say_refusal(policy::http_text(status, told.fault.text), fault.text, told.reference);
}

void XendSession::drain(std::string_view why) {
  if (phase_ != Phase::reading) return;
  close({Reason::Kind::requested, Stage::open, std::string(why)});
}

void XendSession::close(Reason reason) { stream_->close(std::move(reason)); }

void XendSession::on_data(base::Bytes data) {
  traffic_.in += data.size();
  deps_.counters.traffic.in += data.size();
  if (phase_ != Phase::reading) return drop(data.size());
  switch (request_.feed(data)) {
    case XendRequest::State::reading:
      return;
    case XendRequest::State::refused:
      return refuse(Refusal::policy, request_.refusal(), request_.reason());
    case XendRequest::State::accepted:
      phase_ = Phase::asking;
      asked_ = deps_.clock.now();
      pool_->counters().calls.add(Fate::passed);
      arm();
      return pool_->ask(*this, request_.question());
  }
}

void XendSession::drop(std::size_t bytes) {
  dropped_ += std::min(bytes, kMostDropped);
  if (dropped_ <= kMostDropped) return;
  close({Reason::Kind::protocol, Stage::established, "it does not stop sending after its request"});
}

void XendSession::on_end() {
  input_ended_ = true;
  if (phase_ == Phase::reading || (phase_ == Phase::leaving && stream_->queued() == 0)) {
    close({Reason::Kind::end, Stage::established, "the client closed the connection"});
  }
}

void XendSession::on_xend_answer(const policy::XendResponse& response) {
  if (holding_.full()) {
    const std::string why = "user " + std::to_string(peer_.uid) + " leaves too much unread";
    count_end(Outcome::failed);
    return say_refusal(policy::http_text(policy::http::kUnavailable, why), why);
  }
  cleaning_.emplace(request_.question(), response);
  clean();
}

// A long answer is gone through in several turns.
void XendSession::clean() {
  bool done = false;
  while (!done) {
    if (turn_.must_wait()) return;
    const Turns::Part::Work work(turn_, Turns::kMessage);
    done = cleaning_->go_on(Turns::kMessage);
  }
  const policy::HttpAnswer clean = cleaning_->take();
  const bool own = cleaning_->status() != policy::http::kBadGateway;
  cleaning_.reset();
  if (clean.status == policy::http::kBadGateway && own) {
    count_end(Outcome::failed);
    return say_refusal(clean, "the answer of xend is no S-expression");
  }
  count_end(clean.status < 400 ? Outcome::ok : Outcome::error);
  answer(clean);
}

void XendSession::on_xend_failed(const Reason& reason) {
  const bool late = reason.kind == Reason::Kind::timeout;
  std::string why = "target " + pool_->target().name + ": ";
  if (reason.stage < Stage::established) {
    why += tunnel::io::stage_name(reason.stage);
    why += ": ";
  }
  why += reason.text;
  count_end(late ? Outcome::timeout : Outcome::failed);
  policy::Fault fault;
  fault.text = std::move(why);
  fault.plain = plain_failure(pool_->target().name, reason);
  tell(late ? policy::http::kGatewayTimeout : policy::http::kBadGateway, fault);
}

void XendSession::count_end(Outcome outcome) {
  TargetCounters& counters = pool_->counters();
  counters.replies.add(outcome);
  counters.durations.add(deps_.clock.now() - asked_);
}

void XendSession::refuse(Refusal why, const policy::HttpAnswer& refusal, std::string_view reason) {
  pool_->counters().calls.add(Fate::refused);
  deps_.counters.refusals.add(why);
  say_refusal(refusal, reason);
}

void XendSession::say_refusal(const policy::HttpAnswer& refusal, std::string_view reason,
                              const std::string& reference) {
  {
    Line refused = line(Level::warning, "refused");
    refused.with("status", refusal.status)
        .with("request", request_.first_line())
        .with("reason", reason);
    if (!reference.empty()) refused.with("reference", reference);
  }
  answer(refusal);
}

void XendSession::answer(const policy::HttpAnswer& answer) {
  phase_ = Phase::leaving;
  status_ = answer.status;
  const base::Buffer bytes = policy::encode_http_answer(answer);
  traffic_.out += bytes.size();
  deps_.counters.traffic.out += bytes.size();
  stream_->write(bytes);
  stream_->end();
  holding_.recount();
  arm();
}

void XendSession::on_closed(const Reason& closed_for) {
  const Reason reason = closed_for;
  tick_.stop();
  pool_->leave(*this);
  end_.opened = status_ != 0;
  end_.reason = reason;
  line(Level::info, "close")
      .with("status", status_)
      .with("request", request_.first_line())
      .with("seconds", (deps_.clock.now() - began_).count() / 1000)
      .with("reason", reason.text);
  deps_.owner.on_visitor_gone(*this);
}

std::array<Deadline<XendSession>, 2> XendSession::deadlines() const {
  return {{
      {due_if(phase_ == Phase::reading, began_ + deps_.limits.open_timeout),
       &XendSession::request_is_late},
      {due_if(phase_ == Phase::leaving, holding_.recounted_at() + kRecount),
       &XendSession::check_reading},
  }};
}

void XendSession::arm() { proxy::arm(tick_, deadlines(), deps_.clock.now()); }

void XendSession::tick() {
  act(*this, deadlines(), deps_.clock.now());
  arm();
}

void XendSession::request_is_late() {
  const std::string why = "the request was not complete in time";
  refuse(Refusal::order, policy::http_text(policy::http::kRequestTimeout, why), why);
}

void XendSession::check_reading() {
  const Milliseconds now = deps_.clock.now();
  holding_.recount();
  if (holding_.unread() == 0) {
    if (!sent_) sent_ = now;
    if (input_ended_ || now - *sent_ >= kGoodbye) {
      close({Reason::Kind::requested, Stage::established, "answered"});
    }
  } else if (now - holding_.read_at() >= deps_.limits.write_timeout) {
    close({Reason::Kind::timeout, Stage::established, "it does not read its answer"});
  }
}

ClientSnapshot XendSession::snapshot() const {
  static constexpr std::array<std::string_view, 3> kStates = {"greeting", "open", "leaving"};
  ClientSnapshot out;
  out.number = static_cast<std::uint64_t>(number_);
  out.uid = peer_.uid;
  out.pid = static_cast<std::uint64_t>(peer_.pid);
  out.target = pool_->target().name;
  out.state = kStates[static_cast<std::size_t>(phase_)];
  out.calls = calls();
  out.outstanding = phase_ == Phase::asking ? 1 : 0;
  out.buffered = holding_.unread();
  out.bytes_in = traffic_.in;
  out.bytes_out = traffic_.out;
  out.age_ms = milliseconds_since(began_, deps_.clock.now());
  return out;
}

}  // namespace proxy
