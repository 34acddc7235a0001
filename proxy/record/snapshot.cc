#include "proxy/record/snapshot.h"

#include <algorithm>

#include "tunnel/tunnel.h"

namespace proxy {

using tunnel::io::Milliseconds;

void describe_target(const conf::TargetConfig& target, const TargetCounters& counters,
                     TargetSnapshot& to) {
  to.name = target.name;
  to.uri = target.uri;
  to.transport = tunnel::transport_name(target.tunnel.transport);
  to.counted_as = counters.name;
}

TargetSnapshot idle_target(const conf::TargetConfig& target) {
  TargetSnapshot out;
  TargetCounters none;
  none.name = Counters::shown(target.name);
  describe_target(target, none, out);
  out.state = "idle";
  return out;
}

std::uint64_t milliseconds_since(Milliseconds then, Milliseconds now) {
  return static_cast<std::uint64_t>(std::max(Milliseconds(0), now - then).count());
}

std::vector<FailureSnapshot> describe(const std::optional<UpstreamFailure>& failure,
                                      Milliseconds now) {
  if (!failure) return {};
  return {{std::string(tunnel::io::stage_name(failure->stage)), failure->text,
           milliseconds_since(failure->at, now)}};
}

const TargetCounters* Snapshot::counters_of(const std::string& name) const {
  const auto found = std::find_if(counters.begin(), counters.end(),
                                  [&](const TargetCounters& one) { return one.name == name; });
  return found == counters.end() ? nullptr : &*found;
}

}  // namespace proxy
