#include "tunnel/io/joined_stream.h"

#include <utility>

#include "base/fd.h"
#include "tunnel/io/standard_streams.h"

namespace tunnel::io {

JoinedStream::JoinedStream(Loop& loop, int in, int out)
    : loop_(loop), in_(input_half(loop, in, *this)), out_(output_half(loop, out, *this)) {}

void JoinedStream::open(StreamOwner& owner) {
  state_.open(owner);
  loop_.inside().soon(*this);
}

void JoinedStream::write(base::Bytes data) {
  if (state_.closing() || ending_ || data.empty()) return;
  base::append(pending_, data);
  state_.wrote(queued());
  if (ready_ && !writing_) loop_.inside().soon(*this);
}

std::size_t JoinedStream::queued() const {
  return pending_.size() + (ready_ && !state_.closing() ? out_->queued() : 0);
}

void JoinedStream::end() {
  ending_ = true;
  if (ready_ && !state_.closing()) loop_.inside().soon(*this);
}

void JoinedStream::pause(unsigned reasons) {
  state_.pause(reasons);
  read_or_not();
}

void JoinedStream::resume(unsigned reasons) {
  state_.resume(reasons);
  read_or_not();
}

void JoinedStream::close(Reason reason) {
  if (!state_.close(std::move(reason))) return;
  if (state_.opened()) loop_.inside().soon(*this);
}

void JoinedStream::run_soon() {
  if (state_.closing()) {
    if (halves_ == 0 && !ready_) return state_.finish();
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
    return close({kind_of(-status), Stage::connect, base::system_words(-status)});
  }
  state_.owner().on_stage(Stage::established);
  if (!state_.closing()) state_.owner().on_open();
  if (state_.closing()) return;
  read_or_not();
  if (!pending_.empty() || ending_) loop_.inside().soon(*this);
}

void JoinedStream::read_or_not() {
  const bool wanted = ready_ && !state_.closing() && !input_ended_ && !state_.paused();
  if (wanted == reading_) return;
  reading_ = wanted;
  if (wanted) {
    in_->read();
  } else {
    in_->stop();
  }
}

void JoinedStream::on_input(base::Bytes data) {
  if (!state_.closing()) state_.owner().on_data(data);
}

void JoinedStream::on_input_end() {
  reading_ = false;
  input_ended_ = true;
  if (!state_.closing()) state_.owner().on_end();
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
  if (state_.closing()) return;
  if (!pending_.empty() || ending_) loop_.inside().soon(*this);
  state_.sent(queued());
}

void JoinedStream::on_half_failed(int status) {
  close({Reason::Kind::system, Stage::established, base::system_words(-status)});
}

void JoinedStream::on_half_closed() {
  if (--halves_ == 0) loop_.inside().soon(*this);
}

std::unique_ptr<Stream> join_fds(Loop& loop, int in, int out) {
  return std::make_unique<JoinedStream>(loop, in, out);
}

}  // namespace tunnel::io
