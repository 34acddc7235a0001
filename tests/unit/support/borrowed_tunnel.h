// A tunnel of somebody else's, for what outlives the pool that uses it.
#pragma once

#include <memory>

#include "tunnel/tunnel.h"

namespace test {

class BorrowedTunnel final : public tunnel::Tunnel {
 public:
  explicit BorrowedTunnel(tunnel::Tunnel& lender) : lender_(lender) {}
  std::unique_ptr<tunnel::io::Stream> stream() override { return lender_.stream(); }
  void avoid_silent(tunnel::io::Milliseconds silent_for) override {
    lender_.avoid_silent(silent_for);
  }
  [[nodiscard]] bool outdated() const override { return lender_.outdated(); }

 private:
  tunnel::Tunnel& lender_;
};

}  // namespace test
