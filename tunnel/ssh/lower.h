// Holds a stream that somebody stands on who may be destroyed at any time, which a stream that was
// opened may not: when the user goes, the stream is closed, hears the end alone and is destroyed
// then. The loop, or the clock, must turn until that has happened.
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
