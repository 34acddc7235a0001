#include "tunnel/ssh/stream.h"

#include <utility>

#include "base/check.h"
#include "tunnel/ssh/connection.h"
#include "tunnel/ssh/tunnel.h"

namespace tunnel::ssh {

using Kind = io::Reason::Kind;

SshStream::SshStream(io::Clock& clock, SshTunnel& tunnel)
    : tunnel_(tunnel), close_timer_(clock, [this] { closed(); }), exit_timer_(clock, [this] {
        if (channel_ != nullptr) std::exchange(channel_, nullptr)->release();
        next_way(to_string(way()) + ": it ended its output and did not exit");
      }) {}

SshStream::~SshStream() { CHECK(owner_ == nullptr); }

void SshStream::open(io::StreamOwner& owner) {
  CHECK(owner_ == nullptr);
  owner_ = &owner;
  auto ways = tunnel_.ways();
  if (!ways) return close({Kind::refused, io::Stage::channel, ways.error()});
  ways_ = std::move(*ways);
  try_way();
}

void SshStream::try_way() {
  channel_open_ = false;
  connection_ = tunnel_.connection_for(way().kind);
  if (connection_ == nullptr) {
    return close({Kind::refused, io::Stage::channel,
                  "the server refuses more sessions on each of many connections"});
  }
  reused_ = connection_->ready();
  channel_ = connection_->open(way(), *this);
}

void SshStream::next_way(const std::string& why) {
  exit_timer_.stop();
  failures_.push_back(why);
  if (++way_ < ways_.size()) return try_way();
  if (way_ == 1 && ways_[0].kind == Way::Kind::address) {
    return close({Kind::system, io::Stage::channel, why});
  }
  std::string text = "no way to the daemon";
  for (const std::string& failure : failures_) text += "; " + failure;
  close({Kind::system, io::Stage::channel, text});
}

bool SshStream::on_trial() const { return is_command(way().kind) && !heard_ && keeping_; }

void SshStream::write(base::Bytes data) {
  if (closing_ || ending_) return;
  if (!heard_ && keeping_) {
    base::append(kept_, data);
    if (announced_ && kept_.size() > kMostKept) {
      keeping_ = false;
      if (channel_open_) kept_ = {};
    }
  } else if (!channel_open_) {
    base::append(kept_, data);
  }
  if (channel_open_) channel_->write(data);
}

std::size_t SshStream::queued() const {
  return channel_open_ && channel_ != nullptr ? channel_->queued() : kept_.size();
}

void SshStream::end() {
  if (closing_ || ending_) return;
  ending_ = true;
  if (channel_open_) channel_->end();
}

void SshStream::pause(unsigned reasons) {
  paused_ |= reasons;
  if (channel_ != nullptr) channel_->pause(paused_ != 0);
}

void SshStream::resume(unsigned reasons) {
  paused_ &= ~reasons;
  if (channel_ != nullptr) channel_->pause(paused_ != 0);
}

void SshStream::close(io::Reason reason) {
  if (closing_) return;
  closing_ = true;
  reason_ = std::move(reason);
  exit_timer_.stop();
  kept_ = {};
  channel_open_ = false;
  if (channel_ != nullptr) std::exchange(channel_, nullptr)->release();
  if (owner_ != nullptr) close_timer_.start(io::Milliseconds(0));
}

void SshStream::closed() {
  io::StreamOwner* owner = std::exchange(owner_, nullptr);
  const io::Reason reason = reason_;
  owner->on_closed(reason);
}

void SshStream::on_channel_stage(io::Stage stage) {
  if (announced_) return;
  stage_ = stage;
  owner_->on_stage(stage);
}

void SshStream::on_channel_open() {
  channel_open_ = true;
  channel_->pause(paused_ != 0);
  if (!kept_.empty()) channel_->write(kept_);
  if (ending_) channel_->end();
  if (!is_command(way().kind)) {
    tunnel_.remember(way());
    keeping_ = false;
  }
  if (!keeping_) kept_ = {};
  if (announced_) return;
  announced_ = true;
  if (stage_ < io::Stage::channel) owner_->on_stage(io::Stage::channel);
  if (!closing_) owner_->on_stage(io::Stage::established);
  if (!closing_) owner_->on_open();
}

void SshStream::on_channel_data(base::Bytes data) {
  if (!heard_) {
    heard_ = true;
    kept_ = {};
    tunnel_.remember(way());
  }
  owner_->on_data(data);
}

void SshStream::on_channel_end() {
  if (on_trial()) {
    exit_timer_.start(tunnel_.target().timeouts.channel);
  } else {
    owner_->on_end();
  }
}

void SshStream::on_channel_drain() { owner_->on_drain(); }

void SshStream::on_channel_refused(const std::string& why, bool sessions_full) {
  channel_ = nullptr;
  if (sessions_full) return try_way();
  next_way(to_string(way()) + ": " + why);
}

void SshStream::on_channel_closed(const io::Reason& reason) {
  channel_ = nullptr;
  const bool was_open = std::exchange(channel_open_, false);
  if (!was_open && reused_ && !retried_ && connection_->dead()) {
    retried_ = true;
    return try_way();
  }
  const bool command_ended = was_open && on_trial() && !connection_->dead();
  if (command_ended) return next_way(reason.text);
  close(reason);
}

}  // namespace tunnel::ssh
