// How a client comes to its end when it does not simply go.
#include <algorithm>
#include <utility>

#include "proxy/client.h"

namespace proxy {

using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

constexpr std::int32_t kClosedByEnd = 1;  // virConnectCloseReason
constexpr Milliseconds kGoodbye{3000};
// A visit, such as that of an exporter or of one command, and a pause between its calls.
constexpr Milliseconds kVisit{3000};
constexpr Milliseconds kPause{1000};

}  // namespace

void Client::turn_away(std::string why) {
  turned_away_ = std::move(why);
  leave_by_ = place_.clock.now() + kGoodbye;
  arm();
}

void Client::on_end() {
  if (guest_.answer_after_end && state_ != State::leaving) {
    return leave_when_done(pool_ == nullptr ? kGoodbye : pool_->target().call_timeout + kGoodbye);
  }
  close({Reason::Kind::end, Stage::established, "the client closed the connection"});
}

void Client::drain(std::string_view why) {
  if (state_ == State::leaving) return;
  line(Level::debug, "drain").with("reason", why);
  draining_ = true;
  leave_unless_just_came();
}

// It would take the end of its connection for a failure of what it is in the middle of.
bool Client::just_came() const {
  const Milliseconds now = place_.clock.now();
  // Whoever stops a bridge stops its one client.
  if (guest_.gone) return false;
  if (state_ == State::opening) return true;
  if (state_ == State::open && now - opened_ >= kVisit) return false;
  return outstanding_ > 0 || now - active_ < kPause;
}

void Client::leave_unless_just_came() {
  if (just_came()) return arm();
  end_now();
}

void Client::end_now() {
  send_closed_event(kClosedByEnd);
  leave_when_done();
}

// Nothing more is read as a call; when the last answer has been written, the other side is told
// that nothing follows.
void Client::leave_when_done() { leave_when_done(std::max(kGoodbye, place_.limits.drain_timeout)); }

void Client::leave_when_done(Milliseconds patience) {
  if (state_ != State::leaving) {
    state_ = State::leaving;
    hold(kLeaving);
    leave_by_ = place_.clock.now() + patience;
  }
  if (outstanding_ == 0 && !ended_output_) say_nothing_follows();
  arm();
}

void Client::say_nothing_follows() {
  ended_output_ = true;
  leave_by_ = place_.clock.now() +
              (guest_.answer_after_end && counted_ > 0 ? place_.limits.write_timeout : kGoodbye);
  stream_->end();
  pause_or_resume();
}

}  // namespace proxy
