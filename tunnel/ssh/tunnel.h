// The tunnel of qemu+ssh: streams are channels of one ssh connection to the host; another
// connection is made only when the server refuses more sessions on those that are there. With
// command= each stream is an ssh program of its own instead.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"
#include "tunnel/ssh/connection.h"
#include "tunnel/ssh/parts.h"
#include "tunnel/ssh/remote_command.h"
#include "tunnel/target.h"
#include "tunnel/tunnel.h"

namespace tunnel::ssh {

// The clock outlives the tunnel, and the loop must turn once more after it: streams below that are
// still open when it goes are closed then. `parts.notes` gets the target's name in front.
std::unique_ptr<Tunnel> make_ssh_tunnel(io::Clock& clock, Target target, Parts parts);

class SshTunnel : public Tunnel {
 public:
  // A server that needs more is not what it seems.
  static constexpr std::size_t kMostConnections = 32;

  SshTunnel(io::Clock& clock, Target target, Parts parts);
  ~SshTunnel() override;

  std::unique_ptr<io::Stream> stream() override;
  void avoid_silent(io::Milliseconds silent_for) override;

  // For the streams.
  [[nodiscard]] const Target& target() const { return target_; }
  // The ways to the daemon, what worked last time first.
  [[nodiscard]] base::Result<std::vector<Way>, std::string> ways() const;
  void remember(const Way& way);
  // One that has room for such a channel, made if need be; null when there are too many.
  Connection* connection_for(Way::Kind kind);

 private:
  void note(const std::string& text);
  void sweep();

  io::Clock& clock_;
  Target target_;
  Parts parts_;
  Notes notes_;
  std::vector<std::string> recent_notes_;
  std::string best_;  // the way that worked, in words
  io::Timer sweep_timer_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace tunnel::ssh
