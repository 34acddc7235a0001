#include "tunnel/ssh/channel.h"

#include <array>
#include <utility>

#include "base/text.h"

namespace tunnel::ssh {
namespace {

constexpr std::size_t kPiece = std::size_t{32} * 1024;

// Several lines as one, without what a terminal would act on.
std::string one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find_first_of("\r\n"), text.size());
    if (length != 0) out += (out.empty() ? "" : "; ") + base::shortened(text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return out;
}

}  // namespace

Channel::Channel(io::Clock& clock, Way way, ChannelOwner* owner, io::Milliseconds patience,
                 std::function<void()> wake)
    : way_(std::move(way)),
      owner_(owner),
      patience_(patience),
      wake_(std::move(wake)),
      deadline_(clock, [this] {
        timed_out_ = true;
        wake_();
      }) {}

void Channel::write(base::Bytes data) {
  if (released_ || ending_) return;
  base::append(out_, data);
  if (queued() > io::Stream::kHighMark) was_high_ = true;
  wake_();
}

void Channel::end() {
  ending_ = true;
  wake_();
}

void Channel::pause(bool paused) {
  paused_ = paused;
  if (!paused) wake_();
}

void Channel::release() {
  owner_ = nullptr;
  released_ = true;
  wake_();
}

void Channel::tell_stage(io::Stage stage) {
  if (owner_ != nullptr) owner_->on_channel_stage(stage);
}

bool Channel::drop_unwanted() {
  if (state_ != State::queued || (!released_ && !timed_out_)) return false;
  state_ = State::gone;
  finish({io::Reason::Kind::timeout, io::Stage::channel, "other channels took too long to open"});
  return true;
}

Engine::Step Channel::open(Engine& engine) {
  if (executes()) return engine.open_session(channel_);
  if (way_.kind == Way::Kind::address) {
    return engine.open_address(way_.path, way_.port, channel_);
  }
  return engine.open_socket(way_.path, channel_);
}

Engine::Step Channel::step_opening(Engine& engine) {
  if (state_ == State::queued) state_ = State::opening;
  if (state_ == State::opening) {
    const Engine::Step step = open(engine);
    if (step != Engine::Step::done) return step;
    state_ = State::starting;
  }
  if (state_ == State::starting && !way_.command.empty() && !released_) {
    const Engine::Step step = engine.execute(channel_, way_.command);
    if (step != Engine::Step::done) return step;
  }
  state_ = State::open;
  deadline_.stop();
  return Engine::Step::done;
}

void Channel::tell_opened() {
  if (owner_ == nullptr) {
    released_ = true;
  } else {
    owner_->on_channel_open();
  }
}

void Channel::tell_refused(const std::string& why, bool sessions_full) {
  deadline_.stop();
  ChannelOwner* owner = std::exchange(owner_, nullptr);
  released_ = true;
  state_ = channel_ == nullptr ? State::gone : State::open;
  if (owner != nullptr) owner->on_channel_refused(why, sessions_full);
}

Channel::Late Channel::late() const {
  if (!timed_out_) return Late::nothing;
  switch (state_) {
    case State::opening:
      return Late::opening;
    case State::starting:
      return Late::start;
    case State::closing:
      return Late::closing;
    default:
      return Late::nothing;
  }
}

void Channel::give_up_start(const io::Reason& reason) {
  timed_out_ = false;
  state_ = State::open;
  finish(reason);
}

void Channel::abandon(io::Reason reason) {
  if (state_ >= State::open) reason.stage = io::Stage::established;
  deadline_.stop();
  channel_ = nullptr;
  finish(reason);
}

void Channel::service(Engine& engine, const std::function<bool()>& below_is_busy) {
  if (state_ == State::closing && engine.closed(channel_)) {
    engine.free_channel(std::exchange(channel_, nullptr));
    state_ = State::gone;
    deadline_.stop();
  }
  if (state_ == State::open && !released_) {
    send(engine, below_is_busy);
    receive(engine);
    receive_errors(engine);
    check_end(engine);
  }
  if (state_ == State::open && released_ && !engine.failed()) begin_close(engine);
}

void Channel::send(Engine& engine, const std::function<bool()>& below_is_busy) {
  while (queued() != 0 && !below_is_busy()) {
    const auto sent = engine.write(channel_, base::Bytes(out_).subspan(out_sent_));
    if (sent.step != Engine::Step::done) break;
    out_sent_ += sent.size;
  }
  if (queued() == 0) {
    out_.clear();
    out_sent_ = 0;
  } else if (out_sent_ > io::Stream::kHighMark) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_sent_));
    out_sent_ = 0;
  }
  if (ending_ && !end_sent_ && queued() == 0) {
    end_sent_ = engine.end(channel_) != Engine::Step::pending;
  }
  if (was_high_ && queued() <= io::Stream::kLowMark) {
    was_high_ = false;
    if (owner_ != nullptr) owner_->on_channel_drain();
  }
}

void Channel::receive(Engine& engine) {
  std::array<std::uint8_t, kPiece> piece;
  while (owner_ != nullptr && !paused_) {
    const std::span<std::uint8_t> room = owner_->on_channel_room();
    const std::span<std::uint8_t> to = room.empty() ? piece : room;
    const auto got = engine.read(channel_, to);
    if (got.step != Engine::Step::done) return;
    owner_->on_channel_data(to.first(got.size));
  }
}

void Channel::receive_errors(Engine& engine) {
  std::array<std::uint8_t, 1024> data;
  for (;;) {
    const auto got = engine.read_errors(channel_, data);
    if (got.step != Engine::Step::done) return;
    const std::size_t room = kMostErrors - errors_.size();
    errors_ += base::text_of({data.data(), std::min(got.size, room)});
  }
}

void Channel::check_end(Engine& engine) {
  if (!end_seen_ && engine.ended(channel_)) {
    end_seen_ = true;
    if (owner_ != nullptr) owner_->on_channel_end();
  }
  if (!end_seen_ || owner_ == nullptr || !engine.closed(channel_)) return;
  std::string text = "the far side closed the channel";
  if (executes()) {
    text = to_string(way_) + ": " + engine.exit_text(channel_);
    if (!errors_.empty()) text += ": " + one_line(errors_);
  }
  finish({io::Reason::Kind::end, io::Stage::established, text});
}

void Channel::finish(const io::Reason& reason) {
  ChannelOwner* owner = std::exchange(owner_, nullptr);
  released_ = true;
  if (owner != nullptr) owner->on_channel_closed(reason);
}

void Channel::begin_close(Engine& engine) {
  engine.close(channel_);
  state_ = State::closing;
  timed_out_ = false;
  start_patience();
}

}  // namespace tunnel::ssh
