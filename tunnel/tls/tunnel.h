// The tunnel of qemu+tls: TLS over whatever reaches the host.
#pragma once

#include <functional>
#include <memory>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"
#include "tunnel/notes.h"
#include "tunnel/target.h"
#include "tunnel/tls/files.h"
#include "tunnel/tunnel.h"

namespace tunnel {

// `below` makes the stream that a TLS stream owns, not yet open: in life a TCP connection to the
// target's host and port. The clock outlives the tunnel. `notes` gets what is accepted although it
// fails a check, with the target's name in front.
std::unique_ptr<Tunnel> make_tls_tunnel(io::Clock& clock, Target target, TlsPlaces places,
                                        std::function<std::unique_ptr<io::Stream>()> below,
                                        Notes notes = {});

}  // namespace tunnel
