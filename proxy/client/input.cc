#include "proxy/client/input.h"

#include <utility>

namespace proxy {

namespace {

constexpr unsigned kHeld = 1;  // the one reason for which a client's stream is paused

}  // namespace

Input::Input(tunnel::io::Stream& stream, tunnel::io::Clock& clock, InputOwner& owner,
             std::uint32_t longest)
    : stream_(stream), clock_(clock), owner_(owner), reader_(longest) {}

void Input::feed(base::Bytes data) {
  if (held_for(kLeaving)) return;
  if (held()) return base::append(backlog_, data);
  reader_.feed(data);
  process();
}

void Input::process() {
  processing_ = true;
  while (!held()) {
    owner_.before_frame();
    if (held()) break;
    const std::optional<policy::Frame> frame = reader_.next();
    if (!frame) break;
    unfinished_since_.reset();
    owner_.on_frame(*frame);
  }
  processing_ = false;
  if (!held() && reader_.held() > 0 && !unfinished_since_) {
    unfinished_since_ = clock_.now();
    owner_.on_unfinished();
  }
  const base::Bytes rest = reader_.take_rest();
  if (!held_for(kLeaving)) base::append(backlog_, rest);
  pause_or_resume();
  owner_.on_processed();
}

void Input::hold(Hold reason) {
  holds_ = static_cast<std::uint8_t>(holds_ | reason);
  pause_or_resume();
}

bool Input::release(Hold reason) {
  if (!held_for(reason)) return false;
  holds_ = static_cast<std::uint8_t>(holds_ & ~reason);
  if (held()) return false;
  if (processing_) return true;
  const base::Buffer backlog = std::exchange(backlog_, {});
  reader_.feed(backlog);
  process();
  return true;
}

void Input::drop() {
  drops_ = true;
  pause_or_resume();
}

void Input::pause_or_resume() {
  const bool pause = held() && !drops_;
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    stream_.pause(kHeld);
  } else {
    stream_.resume(kHeld);
  }
}

}  // namespace proxy
