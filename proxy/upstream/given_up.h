// Calls of upstreams that ended, at which the daemon probably still works: ending a connection
// frees no worker of the daemon.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>

#include "proxy/upstream/call.h"
#include "proxy/upstream/topic.h"

namespace proxy {

class GivenUp {
 public:
  // Of an upstream that was ended here, and of one that was lost: then the daemon may have been
  // restarted, and know nothing of them any more.
  void add_ended(const Call& call, Milliseconds now) {
    calls_.push_back({call.subject, call.kind->key, now + kEnded, false});
  }
  void add_lost(const Call& call, Milliseconds now) {
    calls_.push_back({call.subject, call.kind->key, now + kLost, true});
  }
  // A call of the kind was answered, so those of before are likely to be too.
  void answered(const Call& call) {
    calls_.remove_if([&](const One& one) {
      return one.kind == call.kind->key && one.subject.is(call.topic->subject);
    });
  }
  void forget(Milliseconds now) {
    calls_.remove_if([&](const One& one) { return one.until <= now; });
  }
  // The target leads elsewhere.
  void clear() { calls_.clear(); }
  [[nodiscard]] std::size_t count() const { return calls_.size(); }
  // Of these, those whose upstream was lost.
  [[nodiscard]] std::size_t lost() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(calls_, [](const One& one) { return one.lost; }));
  }

 private:
  // As good as for ever.
  static constexpr Milliseconds kEnded{24 * 3600000};
  static constexpr Milliseconds kLost{900000};

  struct One {
    policy::Subject subject;
    std::uint64_t kind;
    Milliseconds until;
    bool lost;
  };
  std::list<One> calls_;
};

}  // namespace proxy
