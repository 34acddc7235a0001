// How a socket stream comes by its socket when it is not given one. A dialer lives until the stream
// is open, so that an open one does not pay for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tunnel/io/connect.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

// All calls come from the loop. The last two end the dialer's work; it may be destroyed in them.
class DialerOwner {
 public:
  virtual ~DialerOwner() = default;
  virtual void on_dial_stage(Stage stage) = 0;
  // Whoever gets `fd` closes it.
  virtual void on_dialed(int fd) = 0;
  virtual void on_dial_failed(Reason reason) = 0;
};

class Dialer {
 public:
  Dialer() = default;
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;
  // Cancels.
  virtual ~Dialer() = default;

  // Called from the loop; the owner may hear of the end before it returns.
  virtual void start(DialerOwner& owner) = 0;
};

std::unique_ptr<Dialer> tcp_dialer(Loop& loop, std::string host, std::uint16_t port,
                                   const ConnectOptions& options);
std::unique_ptr<Dialer> unix_dialer(Loop& loop, std::vector<std::string> addresses,
                                    Milliseconds deadline);

}  // namespace tunnel::io
