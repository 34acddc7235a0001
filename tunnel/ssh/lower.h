// Lets the user of a stream be destroyed at any time. A stream that has been opened may not be
// destroyed before it has ended, so when the user goes, the stream is closed here and freed after
// its end. The loop, or the clock, must turn until that has happened.
#pragma once

#include <memory>

#include "tunnel/io/stream.h"

namespace tunnel::ssh {

class LowerStream {
 public:
  LowerStream() = default;
  LowerStream(const LowerStream&) = delete;
  LowerStream& operator=(const LowerStream&) = delete;
  ~LowerStream() { reset(); }

  // `user` outlives this object and hears of the stream until it is closed or reset.
  void open(std::unique_ptr<io::Stream> stream, io::StreamOwner& user);
  // The user hears nothing any more.
  void reset();

  // Whether there is a stream that has not yet ended.
  explicit operator bool() const { return holder_ != nullptr; }
  // Only while there is one.
  io::Stream* operator->() const;

 private:
  class Holder;
  Holder* holder_ = nullptr;
};

}  // namespace tunnel::ssh
