// A gate for one client, whose stream is given: the whole filter between that stream and one
// target. Like the gate it knows streams, not descriptors.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/gate/gate.h"

namespace proxy {

// What a command that bridged does at last.
struct BridgeEnd {
  int code = 0;      // exit code
  std::string text;  // for standard error; foreign text in it; empty: there is nothing to say
};

// The client has gone: 0 when it ended the connection in an orderly way and, if it asked for a
// target, got one. Its own failure to read on is 1 without a word.
BridgeEnd bridge_end(const ClientEnd& end);

class Bridge {
 public:
  // As the gate's; `config` has one socket. `done` is called once, from the loop, when the client
  // and the upstreams are gone.
  Bridge(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
         const TunnelFactory& tunnels, std::function<void(const BridgeEnd& end)> done);
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;
  ~Bridge() = default;  // `done` has been called, or start() never was

  // Before start(): the client speaks for somebody who may not hear why something fails.
  void trust_nobody() { gate_.trust_nobody(); }
  // Calls that came before the end of the client's input are answered. `stream` closes by itself
  // after its end() when all was written, as join_fds() has it.
  void start(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer);
  // The client has its answers as far as they come within the drain timeout; then it is ended.
  void stop();

 private:
  void drain();

  Gate gate_;
  std::function<void(const BridgeEnd&)> done_;
  BridgeEnd end_;
  bool draining_ = false;
};

}  // namespace proxy
