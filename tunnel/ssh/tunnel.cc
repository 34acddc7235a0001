#include "tunnel/ssh/tunnel.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "tunnel/ssh/program.h"
#include "tunnel/ssh/stream.h"

namespace tunnel::ssh {
namespace {

// Bad lines of a known_hosts file would else be told at each connection.
constexpr std::size_t kRecentNotes = 32;

}  // namespace

std::unique_ptr<Tunnel> make_ssh_tunnel(io::Clock& clock, Target target, Parts parts) {
  if (!target.command.empty()) {
    return make_program_tunnel(clock, std::move(target), std::move(parts));
  }
  return std::make_unique<SshTunnel>(clock, std::move(target), std::move(parts));
}

SshTunnel::SshTunnel(io::Clock& clock, Target target, Parts parts)
    : clock_(clock),
      target_(std::move(target)),
      parts_(std::move(parts)),
      notes_(std::exchange(parts_.notes, [this](const std::string& text) { note(text); })),
      sweep_timer_(clock, [this] { sweep(); }) {}

SshTunnel::~SshTunnel() = default;

std::unique_ptr<io::Stream> SshTunnel::stream() {
  return std::make_unique<SshStream>(clock_, *this);
}

base::Result<std::vector<Way>, std::string> SshTunnel::ways() const {
  auto ways = ways_to_daemon(target_);
  if (ways) {
    std::ranges::stable_partition(*ways,
                                  [this](const Way& way) { return to_string(way) == best_; });
  }
  return ways;
}

void SshTunnel::remember(const Way& way) { best_ = to_string(way); }

Connection* SshTunnel::connection_for(Way::Kind kind) {
  for (const auto& connection : connections_) {
    if (connection->accepts(kind)) return connection.get();
  }
  if (connections_.size() >= kMostConnections) return nullptr;
  connections_.push_back(std::make_unique<Connection>(
      clock_, target_, parts_, [this] { sweep_timer_.start(io::Milliseconds(0)); }));
  connections_.back()->start();
  return connections_.back().get();
}

void SshTunnel::avoid_silent(io::Milliseconds silent_for) {
  for (const auto& connection : connections_) connection->avoid_silent(silent_for);
}

void SshTunnel::sweep() {
  std::erase_if(connections_, [](const auto& connection) { return connection->dead(); });
}

void SshTunnel::note(const std::string& text) {
  if (!notes_ || std::ranges::find(recent_notes_, text) != recent_notes_.end()) return;
  if (recent_notes_.size() == kRecentNotes) recent_notes_.erase(recent_notes_.begin());
  recent_notes_.push_back(text);
  notes_(base::shortened(target_.name) + ": " + text);
}

}  // namespace tunnel::ssh
