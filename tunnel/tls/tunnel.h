// The tunnel of qemu+tls: TLS over whatever reaches the host.
#pragma once

#include <functional>
#include <memory>

#include "tunnel/io/stream.h"
#include "tunnel/tls/stream.h"
#include "tunnel/tunnel.h"

namespace tunnel {

// `below` makes the stream that a TLS stream owns, not yet open: in life a TCP connection to the
// target's host and port. The context's clock outlives the tunnel; its `notes` get what is accepted
// although it fails a check, with the target's name in front.
std::unique_ptr<Tunnel> make_tls_tunnel(TlsContext context,
                                        std::function<std::unique_ptr<io::Stream>()> below);

}  // namespace tunnel
