// Tells connections that are dead from a daemon that is slow with a call, which answers pings all
// the same. Where nothing has been answered since a call was sent a while ago, a ping asks; a
// connection that leaves it unanswered is silent, and when the daemon answers on another one after
// that, it is dead, or full.
//
// A daemon reads nothing of a connection while `max_client_requests` calls of it are under way,
// though it may go on to send pings and events. With the usual five it always reads pings, since an
// upstream has four. Nobody says that it has fewer. It is known of a connection that is silent and
// on which something comes all the same; or on which calls lie that were lost to silence before; or
// that speaks again after others have. Then no connection gets more calls than have been seen to be
// taken at once, of one with more all calls move on, and one with as many is waited for. Pings ask
// whether one more would be taken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>

#include "conf/values.h"
#include "proxy/record/log.h"
#include "proxy/upstream/upstream.h"
#include "tunnel/io/clock.h"

namespace proxy {

using Upstreams = std::list<std::unique_ptr<Upstream>>;

// When something was heard of the daemon on any of these.
inline Milliseconds last_heard(const Upstreams& upstreams) {
  Milliseconds last{0};
  for (const auto& one : upstreams) last = std::max(last, one->last_heard());
  return last;
}

class Silence {
 public:
  // All outlive it. The target may change.
  Silence(const tunnel::io::Clock& clock, Log& log, const conf::TargetConfig& target)
      : clock_(clock), log_(log), target_(target) {}

  // How long a call waits before a connection on which nothing comes is asked.
  [[nodiscard]] Milliseconds quiet_time() const;
  [[nodiscard]] bool is_silent(const Upstream& upstream) const;
  // The most calls that a connection gets.
  [[nodiscard]] std::size_t calls_at_once() const { return std::min(full_at(), Upstream::kSlots); }
  // One more call.
  [[nodiscard]] bool takes(const Upstream& upstream) const {
    return upstream.ready() && upstream.in_flight() < calls_at_once() && !is_silent(upstream);
  }
  // Silence is why its calls are not answered, and not that the daemon is at work on them.
  [[nodiscard]] bool delays(const Upstream& upstream) const {
    return is_silent(upstream) && !(is_full(upstream) && upstream.silence().elsewhere_since);
  }
  // It is another daemon now.
  void forget() {
    few_ = false;
    taken_ = 1;
  }
  // Since any that is ready has answered something; 0: one of them is not silent.
  [[nodiscard]] Milliseconds silent_for(const Upstreams& upstreams) const;
  // Asks those that answer nothing, and closes those that are dead or too full. To be called often
  // while calls are in flight. True: no upstream can tell whether the daemon is there, so that
  // another is needed.
  bool look(const Upstreams& upstreams);

 private:
  [[nodiscard]] Milliseconds ping_time() const;
  [[nodiscard]] Milliseconds straggler_time() const;
  [[nodiscard]] bool answers_elsewhere(const Upstreams& upstreams, const Upstream& silent) const;
  // So many are the most that the daemon takes, as far as is known.
  [[nodiscard]] bool is_full(const Upstream& upstream) const {
    return upstream.in_flight() == full_at();
  }
  [[nodiscard]] std::size_t full_at() const { return few_ ? taken_ : kUsuallyNever; }
  bool is_unproven(const Upstreams& upstreams, Upstream& upstream);
  void judge(Upstream& upstream);
  void learn(Upstream& upstream);
  void note_full(std::size_t calls);

  static constexpr std::size_t kUsuallyNever = Upstream::kSlots + 1;

  const tunnel::io::Clock& clock_;
  Log& log_;
  const conf::TargetConfig& target_;
  bool few_ = false;       // it takes fewer calls of a connection than usual
  std::size_t taken_ = 1;  // so many it has been seen to take at once
};

}  // namespace proxy
