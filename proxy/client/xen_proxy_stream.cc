#include "proxy/client/xen_proxy_stream.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace proxy {

using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

// Why the stream below is paused.
constexpr unsigned kOwnerPaused = 1;
constexpr unsigned kAhead = 2;

}  // namespace

XenProxyStream::XenProxyStream(tunnel::io::Clock& clock, std::unique_ptr<Stream> below,
                               policy::XenAbi abi)
    : below_(std::move(below)),
      engine_(abi),
      turn_(clock, [this] { deliver(); }),
      deadline_(clock, [this] { late(); }) {}

void XenProxyStream::open(tunnel::io::StreamOwner& owner) {
  state_.open(owner);
  below_->open(*this);
}

void XenProxyStream::on_data(base::Bytes data) {
  if (state_.closing() || ended_) return;
  engine_.feed(data);
  advance();
  deliver();
}

void XenProxyStream::write(base::Bytes data) {
  if (state_.closing()) return;
  answers_.feed(data);
  while (const auto message = answers_.next()) engine_.answer(*message);
  CHECK(!answers_.broken());
  advance();
}

// What the engine has done is passed on; calls not from here, because the owner may be the one who
// called us.
void XenProxyStream::advance() {
  const base::Buffer packets = engine_.take_packets();
  if (!packets.empty()) below_->write(packets);
  base::append(calls_, engine_.take_calls());
  if (engine_.broken()) {
    return close({Reason::Kind::protocol, Stage::established, engine_.wrong()});
  }
  if (!calls_.empty() && !state_.paused()) turn_.start(Milliseconds(0));
  if (engine_.asking() && engine_.held() > kMostAhead) {
    below_->pause(kAhead);
  } else {
    below_->resume(kAhead);
  }
  if (!engine_.midway()) {
    deadline_.stop();
  } else if (!deadline_.running()) {
    deadline_.start(kPacketTimeout);
  }
}

void XenProxyStream::deliver() {
  if (state_.closing() || ended_ || state_.paused() || calls_.empty()) return;
  turn_.stop();
  const base::Buffer calls = std::exchange(calls_, {});
  state_.owner().on_data(calls);
}

void XenProxyStream::late() {
  // While nobody reads, the rest may be there.
  if (state_.paused()) return deadline_.start(kPacketTimeout);
  close({Reason::Kind::timeout, Stage::established, "its packet was not whole in time"});
}

void XenProxyStream::end() {
  if (state_.closing() || ended_) return;
  engine_.give_up();
  advance();
  ended_ = true;
  stop_timers();
  if (!state_.closing()) below_->end();
}

void XenProxyStream::pause(unsigned reasons) {
  state_.pause(reasons);
  if (state_.paused()) below_->pause(kOwnerPaused);
}

void XenProxyStream::resume(unsigned reasons) {
  state_.resume(reasons);
  if (state_.paused()) return;
  below_->resume(kOwnerPaused);
  if (!calls_.empty() && !state_.closing() && !ended_) turn_.start(Milliseconds(0));
}

void XenProxyStream::close(Reason reason) {
  if (!state_.close(std::move(reason))) return;
  stop_timers();
  below_->close(state_.reason());
}

void XenProxyStream::stop_timers() {
  turn_.stop();
  deadline_.stop();
}

void XenProxyStream::on_closed(const Reason& reason) {
  stop_timers();
  state_.close(reason);
  state_.finish();
}

}  // namespace proxy
