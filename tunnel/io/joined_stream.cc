#include "tunnel/io/joined_stream.h"

#include <utility>

#include "base/check.h"
#include "base/fd.h"
#include "tunnel/io/standard_streams.h"

namespace tunnel::io {

JoinedStream::JoinedStream(Loop& loop, int in, int out)
    : loop_(loop), in_(input_half(loop, in, *this)), out_(output_half(loop, out, *this)) {}

JoinedStream::~JoinedStream() { CHECK(owner_ == nullptr); }

void JoinedStream::open(StreamOwner& owner) {
  CHECK(!opened_);
  opened_ = true;
  owner_ = &owner;
  loop_.soon(*this);
}

void JoinedStream::write(base::Bytes data) {
  if (closing_ || ending_ || data.empty()) return;
  base::append(pending_, data);
  if (queued() > kHighMark) was_high_ = true;
  if (ready_ && !writing_) loop_.soon(*this);
}

std::size_t JoinedStream::queued() const {
  return pending_.size() + (ready_ && !closing_ ? out_->queued() : 0);
}

void JoinedStream::end() {
  ending_ = true;
  if (ready_ && !closing_) loop_.soon(*this);
}

void JoinedStream::pause(unsigned reasons) {
  paused_ |= reasons;
  read_or_not();
}

void JoinedStream::resume(unsigned reasons) {
  paused_ &= ~reasons;
  read_or_not();
}

void JoinedStream::close(Reason reason) {
  if (closing_) return;
  closing_ = true;
  reason_ = std::move(reason);
  if (opened_) loop_.soon(*this);
}

void JoinedStream::run_soon() {
  if (closing_) {
    if (halves_ == 0 && !ready_) return finish();
    if (std::exchange(ready_, false)) {
      in_->close();
      out_->close();
    }
  } else if (!ready_) {
    start();
  } else {
    flush();
  }
}

void JoinedStream::start() {
  halves_ = 2;
  ready_ = true;
  int status = in_->start();
  if (status == 0) status = out_->start();
  if (status != 0) {
    return close({Reason::Kind::system, Stage::connect, base::system_words(-status)});
  }
  owner_->on_stage(Stage::established);
  if (!closing_) owner_->on_open();
  if (closing_) return;
  read_or_not();
  if (!pending_.empty() || ending_) loop_.soon(*this);
}

void JoinedStream::read_or_not() {
  const bool wanted = ready_ && !closing_ && !input_ended_ && paused_ == 0;
  if (wanted == reading_) return;
  reading_ = wanted;
  if (wanted) {
    in_->read();
  } else {
    in_->stop();
  }
}

void JoinedStream::on_input(base::Bytes data) {
  if (!closing_) owner_->on_data(data);
}

void JoinedStream::on_input_end() {
  reading_ = false;
  input_ended_ = true;
  if (!closing_) owner_->on_end();
}

void JoinedStream::flush() {
  if (writing_) return;
  if (!pending_.empty()) {
    writing_ = true;
    return out_->write(std::exchange(pending_, {}));
  }
  if (ending_) close({Reason::Kind::end, Stage::established, "all was said"});
}

void JoinedStream::on_output_done() {
  writing_ = false;
  if (closing_) return;
  if (!pending_.empty() || ending_) loop_.soon(*this);
  if (!was_high_ || queued() > kLowMark) return;
  was_high_ = false;
  owner_->on_drain();
}

void JoinedStream::on_half_failed(int status) {
  close({Reason::Kind::system, Stage::established, base::system_words(-status)});
}

void JoinedStream::on_half_closed() {
  if (--halves_ == 0) loop_.soon(*this);
}

void JoinedStream::finish() {
  StreamOwner* owner = std::exchange(owner_, nullptr);
  const Reason reason = std::move(reason_);
  owner->on_closed(reason);
}

std::unique_ptr<Stream> join_fds(Loop& loop, int in, int out) {
  return std::make_unique<JoinedStream>(loop, in, out);
}

}  // namespace tunnel::io
