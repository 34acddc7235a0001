// Calls that wait and are to be ended with an error: each at its deadline, and before that those of
// which somebody says so. They are ended a part at a time, since many may be due at once, so one of
// them may still be sent.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "proxy/upstream/call.h"

namespace proxy {

class Due {
 public:
  // It waits from now on.
  void add(Call& call) { call.due = by_deadline_.emplace(call.deadline, &call); }
  // It waits no longer.
  void remove(Call& call) {
    by_deadline_.erase(call.due);
    spare(call);
  }
  // It is to be ended now, and told `why`; null: what is known of its subject by then.
  void end(Call& call, std::shared_ptr<const policy::Fault> why) {
    spare(call);
    call.why = std::move(why);
    call.ended = true;
    call.end = ended_.insert(ended_.end(), &call);
  }
  // It is not to be ended before its deadline.
  void spare(Call& call) {
    if (!std::exchange(call.ended, false)) return;
    ended_.erase(call.end);
  }
  // The next one that is due; null: none is.
  [[nodiscard]] Call* next(Milliseconds now) const {
    if (!by_deadline_.empty() && by_deadline_.begin()->first <= now)
      return by_deadline_.begin()->second;
    return ended_.empty() ? nullptr : ended_.front();
  }

 private:
  std::multimap<Milliseconds, Call*> by_deadline_;  // equal ones in the order in which they came
  std::list<Call*> ended_;
};

}  // namespace proxy
