// Tells connections that are dead from a daemon that is slow with a call, which answers pings all
// the same. Where nothing has come since a call was sent a while ago, a ping asks; a connection
// that leaves it unanswered is silent, and when the daemon answers on another one after that, it is
// dead.
//
// A daemon reads nothing of a connection while `max_client_requests` calls of it are under way.
// With the usual five it always reads pings, since an upstream has four. Nobody says that it has
// fewer, so a call that was lost to silence is waited for the next time, as long as it may take;
// and when that connection speaks again, others with as many calls are not taken for dead either.
#pragma once

#include <cstddef>
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
  // It is another daemon now.
  void forget() { full_at_ = kUsuallyNever; }
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
  void learn(Upstream& upstream);

  static constexpr std::size_t kUsuallyNever = Upstream::kSlots + 1;

  const tunnel::io::Clock& clock_;
  Log& log_;
  const conf::TargetConfig& target_;
  std::size_t full_at_ = kUsuallyNever;  // calls of a connection
};

}  // namespace proxy
