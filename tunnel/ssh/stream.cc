#include "tunnel/ssh/stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tunnel/ssh/connection.h"
#include "tunnel/ssh/tunnel.h"

namespace tunnel::ssh {

using Kind = io::Reason::Kind;

namespace {

// Of what comes first: the length of a message, of which no daemon's begins with a letter.
constexpr std::size_t kTextSample = 4;

bool begins_text(std::uint8_t c) {
  return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\r' || c == '\n' || c == 0x1b;
}

// Of any alphabet in UTF-8.
bool is_text(std::string_view sample) {
  return std::ranges::all_of(sample, [](char c) {
    const auto byte = static_cast<std::uint8_t>(c);
    return byte >= 0x80 || begins_text(byte);
  });
}

}  // namespace

SshStream::SshStream(io::Clock& clock, SshTunnel& tunnel)
    : tunnel_(tunnel), close_timer_(clock, [this] { state_.finish(); }), exit_timer_(clock, [this] {
        if (channel_ != nullptr) std::exchange(channel_, nullptr)->release();
        next_way(to_string(way()) + ": " +
                 (shell_text_.empty() ? "it ended its output and did not exit" : shell_says()));
      }) {}

void SshStream::open(io::StreamOwner& owner) {
  state_.open(owner);
  auto ways = tunnel_.ways();
  if (!ways) return close({Kind::refused, io::Stage::channel, ways.error()});
  ways_ = std::move(*ways);
  try_way();
}

void SshStream::try_way() {
  channel_open_ = false;
  shell_text_.clear();
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
  if (state_.closing() || ending_) return;
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
  if (state_.closing() || ending_) return;
  ending_ = true;
  if (channel_open_) channel_->end();
}

void SshStream::pause(unsigned reasons) {
  state_.pause(reasons);
  if (channel_ != nullptr) channel_->pause(state_.paused());
}

void SshStream::resume(unsigned reasons) {
  state_.resume(reasons);
  if (channel_ != nullptr) channel_->pause(state_.paused());
}

void SshStream::close(io::Reason reason) {
  if (!state_.close(std::move(reason))) return;
  exit_timer_.stop();
  kept_ = {};
  channel_open_ = false;
  if (channel_ != nullptr) std::exchange(channel_, nullptr)->release();
  if (state_.has_owner()) close_timer_.start(io::Milliseconds(0));
}

void SshStream::on_channel_stage(io::Stage stage) {
  if (announced_) return;
  stage_ = stage;
  state_.owner().on_stage(stage);
}

void SshStream::on_channel_open() {
  channel_open_ = true;
  channel_->pause(state_.paused());
  if (!kept_.empty()) channel_->write(kept_);
  if (ending_) channel_->end();
  if (!is_command(way().kind)) {
    tunnel_.remember(way());
    keeping_ = false;
  }
  if (!keeping_) kept_ = {};
  if (announced_) return;
  announced_ = true;
  if (stage_ < io::Stage::channel) state_.owner().on_stage(io::Stage::channel);
  if (!state_.closing()) state_.owner().on_stage(io::Stage::established);
  if (!state_.closing()) state_.owner().on_open();
}

std::string SshStream::shell_says() const {
  std::string_view line = shell_text_;
  line.remove_prefix(std::min(line.find_first_not_of("\r\n"), line.size()));
  return "the far shell says \"" + std::string(line.substr(0, line.find_first_of("\r\n"))) + '"';
}

bool SshStream::take_shell_text(base::Bytes data) {
  if (shell_text_.empty() && (!on_trial() || !begins_text(data.front()))) return false;
  const std::size_t room = kMostShellText - shell_text_.size();
  shell_text_ += base::text_of(data.first(std::min(room, data.size())));
  if (!is_text(std::string_view(shell_text_).substr(0, kTextSample))) {
    exit_timer_.stop();
    const std::string first = std::exchange(shell_text_, {});
    hear(base::bytes_of(first));
    if (data.size() > room && !state_.closing()) hear(data.subspan(room));
    return true;
  }
  const std::size_t start = shell_text_.find_first_not_of("\r\n");
  const bool whole =
      start != std::string::npos && shell_text_.find_first_of("\r\n", start) != std::string::npos;
  if (whole || shell_text_.size() == kMostShellText) {
    std::exchange(channel_, nullptr)->release();
    next_way(to_string(way()) + ": " + shell_says());
  } else if (!exit_timer_.running()) {
    exit_timer_.start(tunnel_.target().timeouts.channel);
  }
  return true;
}

std::span<std::uint8_t> SshStream::on_channel_room() {
  if (!heard_ || state_.closing()) return {};
  return state_.owner().room();
}

void SshStream::on_channel_data(base::Bytes data) {
  if (!take_shell_text(data)) hear(data);
}

void SshStream::hear(base::Bytes data) {
  if (!heard_) {
    heard_ = true;
    kept_ = {};
    tunnel_.remember(way());
  }
  state_.owner().on_data(data);
}

void SshStream::on_channel_end() {
  if (on_trial()) {
    if (!exit_timer_.running()) exit_timer_.start(tunnel_.target().timeouts.channel);
  } else {
    state_.owner().on_end();
  }
}

void SshStream::on_channel_drain() { state_.owner().on_drain(); }

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
  if (command_ended && !shell_text_.empty()) {
    return next_way(to_string(way()) + ": " + shell_says());
  }
  if (command_ended) return next_way(reason.text);
  close(reason);
}

}  // namespace tunnel::ssh
