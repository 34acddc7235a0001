// A connection that exists in memory, seen from its far end: what the gate reads is put in, what it
// writes is taken out, and what it must not do with a stream ends the process. A scene turns its
// wires until nothing happens any more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "tunnel/io/stream.h"

namespace fuzz {

class Wire {
 public:
  // The gate's end, once.
  std::unique_ptr<tunnel::io::Stream> stream();

  // The gate gets at most so many bytes at a time; 0: all at once.
  std::size_t cut = 0;
  // The far end takes nothing.
  bool stuck = false;

  void put(base::Bytes bytes) { base::append(in_, bytes); }
  // Nothing follows, or the connection breaks.
  void end() { in_ended_ = true; }
  void break_off() { broken_ = true; }

  // What the gate has written since.
  base::Buffer take();

  // The gate has ended its output, or closed, or destroyed its end.
  [[nodiscard]] bool ended() const { return out_ended_ || closing_; }
  [[nodiscard]] bool gone() const { return opened_ && owner_ == nullptr; }

  // Does one thing; false: there is nothing to do.
  bool turn();

 private:
  class End;

  void close(tunnel::io::Reason reason);
  void deliver();

  base::Buffer in_;
  base::Buffer out_;
  std::size_t in_read_ = 0;
  tunnel::io::StreamOwner* owner_ = nullptr;
  tunnel::io::Reason reason_;
  unsigned paused_ = 0;
  bool opened_ = false;
  bool established_ = false;
  bool in_ended_ = false;
  bool end_seen_ = false;
  bool out_ended_ = false;
  bool was_high_ = false;
  bool broken_ = false;
  bool closing_ = false;
};

class Wire::End final : public tunnel::io::Stream {
 public:
  explicit End(Wire& wire) : wire_(wire) {}
  ~End() override { CHECK(wire_.owner_ == nullptr); }

  void open(tunnel::io::StreamOwner& owner) override {
    CHECK(!wire_.opened_);
    wire_.opened_ = true;
    wire_.owner_ = &owner;
  }
  void write(base::Bytes data) override {
    CHECK(wire_.owner_ != nullptr);
    if (wire_.closing_) return;
    CHECK(!wire_.out_ended_);
    base::append(wire_.out_, data);
    if (wire_.out_.size() > kHighMark) wire_.was_high_ = true;
  }
  [[nodiscard]] std::size_t queued() const override { return wire_.out_.size(); }
  void end() override {
    CHECK(wire_.owner_ != nullptr);
    wire_.out_ended_ = true;
  }
  void pause(unsigned reasons) override { wire_.paused_ |= reasons; }
  void resume(unsigned reasons) override { wire_.paused_ &= ~reasons; }
  void close(tunnel::io::Reason reason) override { wire_.close(std::move(reason)); }

 private:
  Wire& wire_;
};

inline std::unique_ptr<tunnel::io::Stream> Wire::stream() { return std::make_unique<End>(*this); }

inline base::Buffer Wire::take() {
  if (stuck) return {};
  base::Buffer taken = std::exchange(out_, {});
  if (std::exchange(was_high_, false) && !closing_ && owner_ != nullptr) owner_->on_drain();
  return taken;
}

inline void Wire::close(tunnel::io::Reason reason) {
  CHECK(owner_ != nullptr);
  if (std::exchange(closing_, true)) return;
  reason_ = std::move(reason);
}

inline bool Wire::turn() {
  using tunnel::io::Reason;
  using tunnel::io::Stage;
  if (owner_ == nullptr) return false;
  if (broken_ && !closing_) close({Reason::Kind::system, Stage::established, "broken"});
  if (closing_) {
    const Reason reason = reason_;
    std::exchange(owner_, nullptr)->on_closed(reason);
    return true;
  }
  if (!established_) {
    established_ = true;
    owner_->on_stage(Stage::established);
    owner_->on_open();
    return true;
  }
  if (paused_ != 0) return false;
  if (in_read_ < in_.size()) {
    deliver();
    return true;
  }
  if (!in_ended_ || end_seen_) return false;
  end_seen_ = true;
  owner_->on_end();
  return true;
}

inline void Wire::deliver() {
  const std::size_t left = in_.size() - in_read_;
  const std::size_t size = cut == 0 ? left : std::min(cut, left);
  // A copy of its own, so that a read beyond it is seen.
  const base::Buffer piece(in_.begin() + static_cast<std::ptrdiff_t>(in_read_),
                           in_.begin() + static_cast<std::ptrdiff_t>(in_read_ + size));
  in_read_ += size;
  owner_->on_data(piece);
}

}  // namespace fuzz
