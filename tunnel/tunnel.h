// A way to one daemon, from which streams to it are opened. It holds what streams to the same place
// share: what is known of the host, and for ssh the connection whose channels the streams are.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"
#include "tunnel/notes.h"
#include "tunnel/target.h"

namespace tunnel {

namespace io {
class Loop;
}
namespace ssh {
struct SshEnvironment;
}

class Tunnel {
 public:
  Tunnel() = default;
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;
  // All its streams must be gone.
  virtual ~Tunnel() = default;

  // A new stream, not yet open. The tunnel outlives it.
  virtual std::unique_ptr<io::Stream> stream() = 0;

  // Streams to come share nothing with others on which nothing has been heard for so long.
  virtual void avoid_silent(io::Milliseconds silent_for) { static_cast<void>(silent_for); }

  // Tells whether the certificates, keys, CRLs or known hosts that streams of it relied on have
  // changed on the disk since; streams that are open stay as they are. From the loop or at once,
  // and perhaps never, since a disk may not answer: not when the tunnel has gone before or is asked
  // again.
  virtual void ask_outdated(std::function<void(bool outdated)> told) {
    std::exchange(told, nullptr)(false);
  }
};

// The loop outlives the tunnel. Nothing is looked up, read or connected before a stream is opened.
// A target that cannot be reached as it is configured gives streams that close with the reason.
std::unique_ptr<Tunnel> make_tunnel(io::Loop& loop, const Target& target, Notes notes = {});
// The same with the surroundings that ssh::current_environment() gave before, for tls too: that
// asks NSS, which can take long.
std::unique_ptr<Tunnel> make_tunnel(io::Loop& loop, const Target& target, Notes notes,
                                    const ssh::SshEnvironment& environment);

// "unix", "tcp", ...
std::string_view transport_name(Transport transport);

}  // namespace tunnel
