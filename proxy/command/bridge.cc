#include "proxy/command/bridge.h"

#include <utility>

namespace proxy {

using tunnel::io::Reason;

BridgeEnd bridge_end(const ClientEnd& end) {
  switch (end.reason.kind) {
    case Reason::Kind::requested:
    case Reason::Kind::end:
      if (end.opened || !end.failure) return {};
      return {1, end.failure->text};
    case Reason::Kind::system:
    case Reason::Kind::exhausted:
      return {1, {}};
    case Reason::Kind::timeout:
    case Reason::Kind::refused:
    case Reason::Kind::protocol:
      break;
  }
  return {1, "the client's connection was ended: " + end.reason.text};
}

Bridge::Bridge(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
               const TunnelFactory& tunnels, std::function<void(const BridgeEnd&)> done)
    // Aliases and defaults of libvirt.conf were the command's business, and are not its client's.
    : gate_(clock, log, sasl, std::move(config), conf::LibvirtConf(), tunnels),
      done_(std::move(done)) {}

void Bridge::start(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer) {
  Guest guest;
  guest.answer_after_end = true;
  guest.gone = [this](const ClientEnd& end) {
    end_ = bridge_end(end);
    drain();
  };
  gate_.accept(std::move(stream), std::move(peer), 0, std::move(guest));
}

void Bridge::stop() { drain(); }

void Bridge::drain() {
  if (std::exchange(draining_, true)) return;
  gate_.drain([this] { done_(end_); });
}

}  // namespace proxy
