#include "proxy/xend_session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "policy/xend_response.h"

namespace proxy {

using policy::XendRequest;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

constexpr int kForbidden = 403;
constexpr int kRequestTimeout = 408;
constexpr int kBadGateway = 502;
constexpr int kUnavailable = 503;
constexpr int kGatewayTimeout = 504;

// A client that is answered before it has sent everything, a body for example, would lose the
// answer if the connection were cut at once: so much of it, for so long, is read and dropped.
constexpr std::size_t kMostDropped = std::size_t{256} * 1024;
constexpr Milliseconds kGoodbye{3000};
constexpr Milliseconds kRecount{1000};

}  // namespace

XendSession::XendSession(const Place& place, std::int64_t number,
                         std::unique_ptr<tunnel::io::Stream> stream, const tunnel::io::Peer& peer,
                         User& user, XendPool& pool, Guest guest)
    : place_(place),
      number_(number),
      stream_(std::move(stream)),
      peer_(peer),
      user_(user),
      pool_(&pool),
      guest_(std::move(guest)),
      tick_(place.clock, [this] { tick(); }),
      began_(place.clock.now()) {}

void XendSession::start() {
  stream_->open(*this);
  arm();
}

Line XendSession::line(Level level, std::string_view event) {
  Line line = place_.log.audit(level, event, number_, peer_);
  line.with("target", pool_->target().name);
  return line;
}

void XendSession::turn_away(const std::string& why) {
  refuse(Refusal::limit, policy::http_text(kUnavailable, base::printable(why)), why);
}

void XendSession::forbid(const std::string& why) {
  refuse(Refusal::rule, policy::http_text(kForbidden, base::printable(why)), why);
}

void XendSession::move_to(XendPool& pool) {
  CHECK(!asked());
  pool_ = &pool;
}

void XendSession::drain(std::string_view why) {
  if (state_ != State::reading) return;
  close({Reason::Kind::requested, Stage::open, std::string(why)});
}

void XendSession::close(Reason reason) { stream_->close(std::move(reason)); }

void XendSession::on_data(base::Bytes data) {
  traffic_.in += data.size();
  place_.counters.traffic.in += data.size();
  if (state_ != State::reading) return drop(data.size());
  switch (request_.feed(data)) {
    case XendRequest::State::reading:
      return;
    case XendRequest::State::refused:
      return refuse(Refusal::policy, request_.refusal(), request_.reason());
    case XendRequest::State::accepted:
      state_ = State::asking;
      asked_ = place_.clock.now();
      pool_->counters().calls.add(Fate::passed);
      arm();
      return pool_->ask(*this, request_.question());
  }
}

void XendSession::drop(std::size_t bytes) {
  dropped_ += std::min(bytes, kMostDropped);
  if (dropped_ <= kMostDropped) return;
  close({Reason::Kind::protocol, Stage::established, "it sends on and on behind its request"});
}

void XendSession::on_end() {
  input_ended_ = true;
  if (state_ == State::reading || (state_ == State::leaving && stream_->queued() == 0)) {
    close({Reason::Kind::end, Stage::established, "the client closed the connection"});
  }
}

void XendSession::on_xend_answer(const policy::XendResponse& response) {
  if (user_.buffered > place_.limits.user_buffer) {
    const std::string why = "user " + std::to_string(user_.uid) + " leaves too much unread";
    count_end(Outcome::failed);
    return say_refusal(policy::http_text(kUnavailable, why), why);
  }
  const policy::HttpAnswer clean = policy::answer_of_xend(request_.question(), response);
  if (clean.status == kBadGateway && response.status() != kBadGateway) {
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
  why += base::printable(reason.text);
  count_end(late ? Outcome::timeout : Outcome::failed);
  say_refusal(policy::http_text(late ? kGatewayTimeout : kBadGateway, why), why);
}

void XendSession::count_end(Outcome outcome) {
  TargetCounters& counters = pool_->counters();
  counters.replies.add(outcome);
  counters.durations.add(place_.clock.now() - asked_);
}

void XendSession::refuse(Refusal why, const policy::HttpAnswer& refusal, std::string_view reason) {
  pool_->counters().calls.add(Fate::refused);
  place_.counters.refusals.add(why);
  say_refusal(refusal, reason);
}

void XendSession::say_refusal(const policy::HttpAnswer& refusal, std::string_view reason) {
  line(Level::warning, "refused")
      .with("status", refusal.status)
      .with("request", request_.first_line())
      .with("reason", reason);
  answer(refusal);
}

void XendSession::answer(const policy::HttpAnswer& answer) {
  state_ = State::leaving;
  status_ = answer.status;
  last_progress_ = place_.clock.now();
  const base::Buffer bytes = policy::encode_http_answer(answer);
  traffic_.out += bytes.size();
  place_.counters.traffic.out += bytes.size();
  stream_->write(bytes);
  stream_->end();
  recount();
  arm();
}

void XendSession::recount() {
  const std::uint64_t now = stream_->queued();
  if (now < counted_) last_progress_ = place_.clock.now();
  user_.buffered += now;
  user_.buffered -= std::exchange(counted_, now);
}

void XendSession::on_closed(const Reason& closed_for) {
  const Reason reason = closed_for;
  tick_.stop();
  pool_->leave(*this);
  user_.buffered -= std::exchange(counted_, 0);
  end_.opened = status_ != 0;
  end_.reason = reason;
  line(Level::info, "close")
      .with("status", status_)
      .with("request", request_.first_line())
      .with("seconds", (place_.clock.now() - began_).count() / 1000)
      .with("reason", reason.text);
  place_.owner.on_session_gone(*this);
}

void XendSession::arm() {
  const Milliseconds now = place_.clock.now();
  switch (state_) {
    case State::reading:
      return tick_.start(std::max(Milliseconds(0), began_ + place_.limits.open_timeout - now));
    case State::asking:
      return tick_.stop();
    case State::leaving:
      return tick_.start(kRecount);
  }
}

void XendSession::tick() {
  const Milliseconds now = place_.clock.now();
  if (state_ == State::reading) {
    const std::string why = "the request was not complete in time";
    return refuse(Refusal::order, policy::http_text(kRequestTimeout, why), why);
  }
  recount();
  if (counted_ == 0) {
    if (!sent_) sent_ = now;
    if (input_ended_ || now - *sent_ >= kGoodbye) {
      return close({Reason::Kind::requested, Stage::established, "answered"});
    }
  } else if (now - last_progress_ >= place_.limits.write_timeout) {
    return close({Reason::Kind::timeout, Stage::established, "it does not read its answer"});
  }
  arm();
}

}  // namespace proxy
