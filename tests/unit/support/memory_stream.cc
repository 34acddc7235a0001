#include "tests/unit/support/memory_stream.h"

#include <algorithm>
#include <span>

#include "base/check.h"

namespace test {

using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> MemoryStream::pair(
    tunnel::io::Clock& clock) {
  std::unique_ptr<MemoryStream> a(new MemoryStream(clock));
  std::unique_ptr<MemoryStream> b(new MemoryStream(clock));
  a->peer_ = b.get();
  b->peer_ = a.get();
  return {std::move(a), std::move(b)};
}

MemoryStream::MemoryStream(tunnel::io::Clock& clock) : timer_(clock, [this] { turn(); }) {}

MemoryStream::~MemoryStream() {
  CHECK(owner_ == nullptr);
  if (peer_ == nullptr) return;
  peer_->peer_ = nullptr;
  peer_->wake();
}

void MemoryStream::wake() {
  if (owner_ == nullptr || timer_.running()) return;
  const Piece next = next_piece_ ? next_piece_() : Piece{piece_};
  piece_ = next.most;
  timer_.start(next.after);
}

void MemoryStream::open(tunnel::io::StreamOwner& owner) {
  CHECK(owner_ == nullptr && !opened_);
  owner_ = &owner;
  if (!held_ || closing_) wake();
}

void MemoryStream::release_open() {
  held_ = false;
  wake();
}

void MemoryStream::write(base::Bytes data) {
  if (closing_ || ending_) return;
  base::append(out_, data);
  if (queued() > kHighMark) was_high_ = true;
  // To a peer that has gone it fails, also where that is not read from.
  (peer_ != nullptr ? *peer_ : *this).wake();
}

void MemoryStream::end() {
  ending_ = true;
  if (peer_ != nullptr) peer_->wake();
}

void MemoryStream::resume(unsigned reasons) {
  paused_ &= ~reasons;
  if (paused_ == 0) wake();
}

void MemoryStream::close(Reason reason) {
  if (closing_) return;
  closing_ = true;
  reason_ = std::move(reason);
  wake();
}

void MemoryStream::fail_peer(Reason reason) {
  if (peer_ != nullptr) peer_->close(std::move(reason));
}

void MemoryStream::turn() {
  if (!closing_ && !opened_) {
    if (held_) return;
    opened_ = true;
    owner_->on_stage(Stage::established);
    owner_->on_open();
    wake();
    return;
  }
  if (!closing_) take_from_peer();
  if (!closing_) return;
  timer_.stop();
  if (peer_ != nullptr) {
    peer_->peer_ = nullptr;
    peer_->wake();
    peer_ = nullptr;
  }
  timer_.stop();
  tunnel::io::StreamOwner* owner = std::exchange(owner_, nullptr);
  const Reason reason = reason_;
  owner->on_closed(reason);
}

// At most that many bytes of what was written; 0: all of it.
base::Buffer MemoryStream::give(std::size_t most) {
  const base::Bytes rest = base::Bytes(out_).subspan(taken_);
  const base::Bytes given = most == 0 ? rest : rest.first(std::min(most, rest.size()));
  base::Buffer out(given.begin(), given.end());
  taken_ += given.size();
  if (2 * taken_ >= out_.size()) {
    out_.erase(out_.begin(), out_.begin() + static_cast<long>(std::exchange(taken_, 0)));
  }
  return out;
}

void MemoryStream::take_from_peer() {
  if (peer_ == nullptr && paused_ != 0 && queued() > 0) {
    return close({Reason::Kind::system, Stage::established, "broken pipe"});
  }
  if (paused_ != 0) return;
  if (peer_ == nullptr || (peer_->closing_ && peer_->queued() == 0)) {
    if (!end_seen_) close({Reason::Kind::end, Stage::established, "the other side closed"});
    return;
  }
  if (!peer_->opened_ && !peer_->closing_) return;
  if (peer_->queued() > 0) {
    const base::Buffer data = peer_->give(piece_);
    const bool drained = peer_->was_high_ && peer_->queued() <= kLowMark;
    if (drained) {
      peer_->was_high_ = false;
      if (peer_->owner_ != nullptr) peer_->owner_->on_drain();
    }
    const std::span<std::uint8_t> room = owner_->room();
    if (room.size() < data.size()) {
      owner_->on_data(data);
    } else {
      std::ranges::copy(data, room.begin());
      owner_->on_data(room.first(data.size()));
    }
    wake();
    return;
  }
  if (peer_->ending_ && !end_seen_) {
    end_seen_ = true;
    if (peer_->closes_after_end_) peer_->close({Reason::Kind::end, Stage::established, "said"});
    owner_->on_end();
    wake();
  }
}

void settle(tunnel::io::Clock& clock, int turns) {
  for (int i = 0; i < turns; ++i) {
    const auto next = clock.next();
    if (!next || *next > clock.now()) return;
    clock.advance(clock.now());
  }
  const bool settled = false;
  CHECK(settled);
}

}  // namespace test
