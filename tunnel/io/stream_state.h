// What every stream keeps of its life: its owner, the reason of its end, why it does not read, and
// whether its owner waits for on_drain().
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

class StreamState {
 public:
  StreamState() = default;
  StreamState(const StreamState&) = delete;
  StreamState& operator=(const StreamState&) = delete;
  // A stream that was opened has told its end.
  ~StreamState() { CHECK(owner_ == nullptr); }

  void open(StreamOwner& owner) {
    CHECK(!opened_);
    opened_ = true;
    owner_ = &owner;
  }
  [[nodiscard]] bool opened() const { return opened_; }
  // From open() to finish().
  [[nodiscard]] bool has_owner() const { return owner_ != nullptr; }
  [[nodiscard]] StreamOwner& owner() const { return *owner_; }

  // Whether that is the first reason, which stays.
  bool close(Reason reason) {
    if (closing()) return false;
    reason_ = std::make_unique<Reason>(std::move(reason));
    return true;
  }
  [[nodiscard]] bool closing() const { return reason_ != nullptr; }
  // While it is closing.
  [[nodiscard]] const Reason& reason() const { return *reason_; }

  void pause(unsigned reasons) { paused_ |= reasons; }
  void resume(unsigned reasons) { paused_ &= ~reasons; }
  [[nodiscard]] bool paused() const { return paused_ != 0; }
  [[nodiscard]] unsigned pauses() const { return paused_; }

  // After each write, and whenever something has left.
  void wrote(std::size_t queued) {
    if (queued > Stream::kHighMark) was_high_ = true;
  }
  void sent(std::size_t queued) {
    if (!was_high_ || queued > Stream::kLowMark) return;
    was_high_ = false;
    owner_->on_drain();
  }

  // Tells the owner the end, which may destroy the stream and this in it.
  void finish() {
    StreamOwner* owner = std::exchange(owner_, nullptr);
    const Reason reason = *reason_;
    owner->on_closed(reason);
  }

 private:
  StreamOwner* owner_ = nullptr;
  std::unique_ptr<Reason> reason_;
  unsigned paused_ = 0;
  bool opened_ : 1 = false;
  bool was_high_ : 1 = false;
};

}  // namespace tunnel::io
