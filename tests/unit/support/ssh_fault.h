// A stream that does to the one below what a bad network, or somebody in it, does.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "tunnel/io/stream.h"

namespace test {

struct Fault {
  // Bytes are counted from the start of the connection, for each direction.
  std::optional<std::size_t> silent_after;   // what the other side sends is lost from there on
  std::optional<std::size_t> end_after;      // the other side ends there
  std::optional<std::size_t> flip_received;  // one bit of this byte
  std::optional<std::size_t> flip_sent;
  std::size_t* heard = nullptr;  // bytes that came from the other side, lost ones too
  std::size_t piece = 0;         // bytes in one on_data() at most; 0: as they come
};

class FaultyStream : public tunnel::io::Stream, private tunnel::io::StreamOwner {
 public:
  FaultyStream(std::unique_ptr<tunnel::io::Stream> below, const Fault& fault)
      : below_(std::move(below)), fault_(fault) {}

  void open(tunnel::io::StreamOwner& owner) override {
    owner_ = &owner;
    below_->open(*this);
  }
  void write(base::Bytes data) override;
  [[nodiscard]] std::size_t queued() const override { return below_->queued(); }
  void end() override { below_->end(); }
  void pause(unsigned reasons) override { below_->pause(reasons); }
  void resume(unsigned reasons) override { below_->resume(reasons); }
  void close(tunnel::io::Reason reason) override { below_->close(std::move(reason)); }

 private:
  void on_stage(tunnel::io::Stage stage) override { owner_->on_stage(stage); }
  void on_open() override { owner_->on_open(); }
  void on_data(base::Bytes data) override;
  void on_end() override { owner_->on_end(); }
  void on_drain() override { owner_->on_drain(); }
  void on_closed(const tunnel::io::Reason& reason) override { owner_->on_closed(reason); }

  std::unique_ptr<tunnel::io::Stream> below_;
  Fault fault_;
  tunnel::io::StreamOwner* owner_ = nullptr;
  std::size_t received_ = 0;
  std::size_t sent_ = 0;
  bool ended_ = false;
};

}  // namespace test
