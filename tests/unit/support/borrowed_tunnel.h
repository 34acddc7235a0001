// A tunnel of somebody else's, for what outlives the pool that uses it.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "tunnel/tunnel.h"

namespace test {

class BorrowedTunnel final : public tunnel::Tunnel {
 public:
  explicit BorrowedTunnel(tunnel::Tunnel& lender) : lender_(lender) {}
  std::unique_ptr<tunnel::io::Stream> stream() override { return lender_.stream(); }
  void avoid_silent(tunnel::io::Milliseconds silent_for) override {
    lender_.avoid_silent(silent_for);
  }
  void ask_outdated(std::function<void(bool outdated)> told) override {
    lender_.ask_outdated(std::move(told));
  }

 private:
  tunnel::Tunnel& lender_;
};

}  // namespace test
