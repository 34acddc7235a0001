// What is counted of a client, and what it looks like to an operator.
#include <string_view>

#include "proxy/client.h"

namespace proxy {

void Client::count(Fate fate) {
  (pool_ == nullptr ? place_.counters.none() : pool_->counters()).calls.add(fate);
}

void Client::count_end(const Call& call, Outcome outcome) {
  TargetCounters& counters = pool_->counters();
  counters.replies.add(outcome);
  counters.durations.add(place_.clock.now() - call.began);
}

ClientSnapshot Client::snapshot() const {
  static constexpr std::array<std::string_view, 4> kStates = {"greeting", "opening", "open",
                                                              "leaving"};
  ClientSnapshot out;
  out.number = static_cast<std::uint64_t>(number_);
  out.uid = peer_.uid;
  out.pid = static_cast<std::uint64_t>(peer_.pid);
  if (pool_ != nullptr) out.target = pool_->target().name;
  out.state = kStates[static_cast<std::size_t>(state_)];
  out.calls = calls_;
  out.refused = refusals_;
  out.outstanding = outstanding_;
  out.buffered = counted_;
  out.bytes_in = bytes_in_;
  out.bytes_out = bytes_out_;
  out.age_ms = milliseconds_since(came_, place_.clock.now());
  return out;
}

}  // namespace proxy
