// Streams to somewhere else. Each is made at rest: open() begins the look-up and the connection,
// and on_closed() tells why there is none. The loop outlives them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

class Loop;

struct ConnectOptions {
  // How long each stage may take.
  Milliseconds look_up{5000};
  Milliseconds connect{5000};  // all addresses together
  // Otherwise nothing is connected to when one of the host's addresses is local (address.h).
  bool local_addresses = true;
};

// TCP to `host`, a name or an address without brackets. Its addresses are tried as RFC 8305 says;
// when none answers, the reason names each with the system's words. An address needs no look-up,
// and its stream has no such stage. TCP_NODELAY and SO_KEEPALIVE are set.
std::unique_ptr<Stream> connect_tcp(Loop& loop, std::string host, std::uint16_t port,
                                    const ConnectOptions& options);

// To the first of `addresses` where somebody listens, in that order; a leading @ means the abstract
// namespace. A listener whose queue is full is waited for, up to the deadline.
std::unique_ptr<Stream> connect_unix(Loop& loop, std::vector<std::string> addresses,
                                     Milliseconds deadline);

// A connected stream socket, made non-blocking here, or one end of a pipe. The stream closes `fd`,
// opened or not.
std::unique_ptr<Stream> adopt_fd(Loop& loop, int fd);

// A stream that does nothing but close with `reason` once it is opened; for what is known to fail
// before anything is tried.
std::unique_ptr<Stream> failed_stream(Clock& clock, Reason reason);

}  // namespace tunnel::io
