// The two ends of a stream that exists in memory only. What one end writes, the other gets when the
// clock is turned; the test chooses how finely it is cut, and can break either end at will.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace test {

class MemoryStream : public tunnel::io::Stream {
 public:
  // Two connected ends on one clock, which outlives them.
  static std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> pair(
      tunnel::io::Clock& clock);

  ~MemoryStream() override;
  void open(tunnel::io::StreamOwner& owner) override;
  void write(base::Bytes data) override;
  [[nodiscard]] std::size_t queued() const override { return out_.size() - taken_; }
  void end() override;
  void pause(unsigned reasons) override { paused_ |= reasons; }
  void resume(unsigned reasons) override;
  void close(tunnel::io::Reason reason) override;

  // Bytes that arrive in one on_data() at most; each piece takes a turn of the clock. 0: all at
  // once.
  void deliver_at_most(std::size_t piece) { piece_ = piece; }
  // The same, asked anew for each piece, and how long that piece is on its way.
  struct Piece {
    std::size_t most = 0;
    tunnel::io::Milliseconds after{0};
  };
  void deliver(std::function<Piece()> next) { next_piece_ = std::move(next); }
  // Closes by itself as an end once end() was called and the other end has it all, as standard
  // streams do.
  void close_after_end() { closes_after_end_ = true; }
  // open() does nothing until this is called: a connection that does not come about.
  void hold_open() { held_ = true; }
  void release_open();
  // The other end closes for this reason, as if a layer below it had failed.
  void fail_peer(tunnel::io::Reason reason);
  [[nodiscard]] bool closing() const { return closing_; }
  [[nodiscard]] bool paused() const { return paused_ != 0; }
  // Nobody is at the other end any more, whether or not that has been noticed here.
  [[nodiscard]] bool left_alone() const { return peer_ == nullptr || peer_->closing_; }

 private:
  explicit MemoryStream(tunnel::io::Clock& clock);
  void turn();
  void wake();
  void take_from_peer();
  base::Buffer give(std::size_t most);

  tunnel::io::Timer timer_;
  tunnel::io::StreamOwner* owner_ = nullptr;
  MemoryStream* peer_ = nullptr;
  base::Buffer out_;
  std::size_t taken_ = 0;  // of out_, by the other end
  std::size_t piece_ = 0;
  std::function<Piece()> next_piece_;
  unsigned paused_ = 0;
  bool opened_ = false;
  bool held_ = false;
  bool was_high_ = false;
  bool ending_ = false;
  bool end_seen_ = false;
  bool closes_after_end_ = false;
  bool closing_ = false;
  tunnel::io::Reason reason_;
};

// Turns the clock by nothing until no timer is due, `turns` times at most.
void settle(tunnel::io::Clock& clock, int turns = 10000);

}  // namespace test
