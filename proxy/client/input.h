// What a client sends, as messages. They are handed over as long as nothing holds the input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "policy/message.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace proxy {

// Called from inside feed() and release(). It may hold and release the input in the call.
class InputOwner {
 public:
  virtual ~InputOwner() = default;
  // A message may be handed over next, unless the owner holds the input now.
  virtual void before_frame() = 0;
  virtual void on_frame(const policy::Frame& frame) = 0;
  // A message has begun and is not complete.
  virtual void on_unfinished() = 0;
  // All that can be handed over now has been.
  virtual void on_processed() = 0;
};

class Input {
 public:
  // Why input waits.
  enum Hold : std::uint8_t {
    kOpening = 1,
    kCalls = 2,
    kOutput = 4,
    kLeaving = 8,  // for ever: what comes is dropped
    kRate = 16,
    kAsking = 32,
    kTurn = 64,
    kQueue = 128
  };

  // Stream, clock and owner outlive it. `longest` is the length of the longest message, in bytes.
  Input(tunnel::io::Stream& stream, tunnel::io::Clock& clock, InputOwner& owner,
        std::uint32_t longest);

  void feed(base::Bytes data);
  void hold(Hold reason);
  // True: it was the last reason, and what waits is being handed over.
  bool release(Hold reason);
  // What still comes is read and dropped, to see the end of it. The input is held for kLeaving.
  void drop();

  [[nodiscard]] bool held() const { return holds_ != 0; }
  [[nodiscard]] bool held_for(Hold reason) const { return (holds_ & reason) != 0; }
  // Bytes of messages that are not complete.
  [[nodiscard]] std::size_t bytes() const { return reader_.held(); }
  // Since when the message that is not complete has been under way.
  [[nodiscard]] std::optional<tunnel::io::Milliseconds> unfinished_since() const {
    return unfinished_since_;
  }
  // A message announced a length out of bounds. Nothing more is handed over.
  [[nodiscard]] bool broken() const { return reader_.broken(); }
  // What is wrong then, in words that follow whoever sent it.
  [[nodiscard]] const std::string& breach() const { return reader_.breach(); }

 private:
  void process();
  void pause_or_resume();

  tunnel::io::Stream& stream_;
  tunnel::io::Clock& clock_;
  InputOwner& owner_;
  policy::FrameReader reader_;
  base::Buffer backlog_;
  std::uint8_t holds_ = 0;
  bool processing_ = false;
  bool paused_ = false;
  bool drops_ = false;
  std::optional<tunnel::io::Milliseconds> unfinished_since_;
};

}  // namespace proxy
