// Tells connections that are dead from a daemon that is slow with a call, which answers pings all
// the same. Where nothing has come since a call was sent a while ago, a ping asks; a connection
// that leaves it unanswered is silent, and when the daemon answers on another one after that, it is
// dead.
#pragma once

#include <list>
#include <memory>

#include "conf/values.h"
#include "proxy/record/log.h"
#include "proxy/upstream/upstream.h"
#include "tunnel/io/clock.h"

namespace proxy {

using Upstreams = std::list<std::unique_ptr<Upstream>>;

class Silence {
 public:
  // All outlive it. The target may change.
  Silence(const tunnel::io::Clock& clock, Log& log, const conf::TargetConfig& target)
      : clock_(clock), log_(log), target_(target) {}

  // How long a call waits before a connection on which nothing comes is asked.
  [[nodiscard]] Milliseconds quiet_time() const;
  [[nodiscard]] bool is_silent(const Upstream& upstream) const;
  // Since something was heard of any that is ready; 0: one of them is not silent.
  [[nodiscard]] Milliseconds silent_for(const Upstreams& upstreams) const;
  // Asks those on which nothing comes, and closes those that are dead. To be called often while
  // calls are in flight. True: no upstream can tell whether the daemon is there, so that another is
  // needed.
  bool look(const Upstreams& upstreams);

 private:
  [[nodiscard]] Milliseconds ping_time() const;
  [[nodiscard]] Milliseconds straggler_time() const;
  [[nodiscard]] bool answers_elsewhere(const Upstreams& upstreams, const Upstream& silent) const;
  bool is_unproven(const Upstreams& upstreams, Upstream& upstream);

  const tunnel::io::Clock& clock_;
  Log& log_;
  const conf::TargetConfig& target_;
};

}  // namespace proxy
