// A client of the old Xen proxy, as a client of libvirt's RPC: a stream that owns the one to the
// client, and gives out and takes messages where that has packets (policy/xen_proxy.h). To the gate
// it is a connection like any other.
//
// A packet has to be whole soon after it began, and a client that breaks the rules of packets is
// closed with no answer.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "policy/message.h"
#include "policy/xen_proxy.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"
#include "tunnel/io/stream_state.h"

namespace proxy {

class XenProxyStream final : public tunnel::io::Stream, private tunnel::io::StreamOwner {
 public:
  static constexpr tunnel::io::Milliseconds kPacketTimeout{2000};
  // Of packets that the client has sent ahead of the one that is being answered.
  static constexpr std::size_t kMostAhead = policy::kLongestXenPacket;

  // The clock outlives it.
  XenProxyStream(tunnel::io::Clock& clock, std::unique_ptr<tunnel::io::Stream> below,
                 policy::XenAbi abi);

  void open(tunnel::io::StreamOwner& owner) override;
  void write(base::Bytes data) override;
  [[nodiscard]] std::size_t queued() const override { return below_->queued(); }
  void end() override;
  void pause(unsigned reasons) override;
  void resume(unsigned reasons) override;
  void close(tunnel::io::Reason reason) override;

 private:
  void on_stage(tunnel::io::Stage stage) override { state_.owner().on_stage(stage); }
  void on_open() override { state_.owner().on_open(); }
  void on_data(base::Bytes data) override;
  void on_end() override { state_.owner().on_end(); }
  void on_drain() override { state_.owner().on_drain(); }
  void on_closed(const tunnel::io::Reason& reason) override;

  void advance();
  void deliver();
  void late();
  void stop_timers();

  std::unique_ptr<tunnel::io::Stream> below_;
  tunnel::io::StreamState state_;
  policy::XenProxy engine_;
  policy::FrameReader answers_;
  base::Buffer calls_;          // not delivered yet
  tunnel::io::Timer turn_;      // delivers them
  tunnel::io::Timer deadline_;  // of the packet that has begun
  bool ended_ = false;
};

}  // namespace proxy
