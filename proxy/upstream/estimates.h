// How long each kind of call usually takes on a target.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "proxy/upstream/call.h"
#include "proxy/upstream/estimate.h"

namespace proxy {

class Estimates {
 public:
  // What is not overdue before that may well be what its kind takes now and then.
  static constexpr Milliseconds kSoonestOverdue{500};
  static constexpr Milliseconds kSoonestLate{100};

  void add(const Call& call, Milliseconds took) {
    by_procedure_[{call.program, call.procedure}].add(took);
  }
  void forget() { by_procedure_.clear(); }

  // 0: nobody knows.
  [[nodiscard]] Milliseconds usual(const Call& call) const {
    const auto found = by_procedure_.find({call.program, call.procedure});
    return found == by_procedure_.end() ? Milliseconds(0) : found->second.usual();
  }
  // How long a call is at the daemon before it is late, or overdue, which is much longer than its
  // kind takes; at most half of `call_timeout`.
  [[nodiscard]] Milliseconds patience(const Call& call, Milliseconds at_least,
                                      Milliseconds call_timeout) const {
    const auto found = by_procedure_.find({call.program, call.procedure});
    const Milliseconds usual =
        found == by_procedure_.end() ? kSoonestOverdue : found->second.usual() * kMuchLonger;
    return std::min(std::max(at_least, usual), call_timeout / 2);
  }

 private:
  static constexpr int kMuchLonger = 4;

  std::map<std::pair<std::uint32_t, std::int32_t>, Estimate> by_procedure_;
};

}  // namespace proxy
