// The pool of one target: a few upstreams, shared by any number of users. It gives each call a
// place in flight when its turn comes (see queue.h), opens another upstream as soon as one waits,
// lets idle ones go, and brings calls over the loss of an upstream.
//
// Nobody waits for somebody else's trouble. A call that is at the daemon for much longer than its
// kind takes there is overdue: its place no longer counts, and another upstream takes over what it
// held up, within `spare` ones. A subject is silent once one of its calls was not answered in time:
// then calls about it fail at once, but for one at a time that asks again, until an answer comes.
// An upstream with several calls that are overdue and that nobody waits for is replaced.
//
// An upstream that is silent (see silence.h) gets no more calls, and another one is opened to find
// out whether the daemon is there. If it is, the silent one is dead, and its calls move on long
// before their deadline; if it is not, nothing but waiting helps.
//
// A target that is lost is dialled again at once; one that lets us in and is lost soon after, again
// and again, after pauses that grow as those between dials that fail (see retries.h). Dials to one
// host take turns (see pacer.h).
//
// Every call ends exactly once while its lane is attached: with a reply, or with a fault that names
// the target, the stage and what the system said. Calls only read, so a call whose upstream was
// lost before it answered is sent again, once: what has cost two is the cause, since of what may be
// it one at a time is sent.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conf/values.h"
#include "proxy/record/counters.h"
#include "proxy/record/log.h"
#include "proxy/record/snapshot.h"
#include "proxy/upstream/call.h"
#include "proxy/upstream/estimates.h"
#include "proxy/upstream/events.h"
#include "proxy/upstream/given_up.h"
#include "proxy/upstream/names.h"
#include "proxy/upstream/nowait.h"
#include "proxy/upstream/pacer.h"
#include "proxy/upstream/queue.h"
#include "proxy/upstream/recent.h"
#include "proxy/upstream/retries.h"
#include "proxy/upstream/silence.h"
#include "proxy/upstream/upstream.h"
#include "tunnel/io/part.h"
#include "tunnel/tunnel.h"

namespace proxy {

class Pool final : private UpstreamOwner, private EventsOwner {
 public:
  // The target is copied; clock, log, sasl, pacer, slabs, limits and counters outlive it. `tunnel`
  // is the way to the target. Limits may change at any time: the next upstream has them.
  Pool(tunnel::io::Clock& clock, Log& log, Sasl& sasl, Pacer& pacer, Slabs& slabs,
       conf::TargetConfig target, const conf::Limits& limits,
       std::unique_ptr<tunnel::Tunnel> tunnel, std::shared_ptr<TargetCounters> counters);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  // close() has been called and on_closed has come, or nothing was ever opened.
  ~Pool() override;

  [[nodiscard]] const conf::TargetConfig& target() const { return target_; }

  // Makes `lane` a user. True: the target is there. False: on_target_ready() or on_target_failed()
  // will come, unless the lane leaves before; after the latter the lane is no longer attached.
  bool attach(Lane& lane);
  // Queues a call, whose subject is set. Its deadline is set here. It may end at once.
  void submit(Lane& lane, Call call);
  // What is left of a call's time when it arrives now.
  [[nodiscard]] Milliseconds deadline() const { return clock_.now() + target_.call_timeout; }
  // The user can take replies again.
  void wake(Lane& lane);
  // The user goes: its calls are dropped, its subscriptions undone, and it hears nothing more.
  void leave(Lane& lane);

  Events& events() { return events_; }

  // The target has another configuration, under the same name: calls that are not yet at the daemon
  // go the new way, those that are there are still answered, and registrations are made anew.
  void retarget(conf::TargetConfig target, std::unique_ptr<tunnel::Tunnel> tunnel);
  // Whether files that its upstreams rely on have changed; retarget() to the same target renews
  // them.
  // Calls `outdated` if it is, as Tunnel::ask_outdated() does.
  void ask_outdated(std::function<void()> outdated);

  // Ends all upstreams; `closed` is called once they are gone, from the loop or at once when there
  // are none. Nobody may be attached.
  void close(std::function<void()> closed);

  // Somebody is attached.
  [[nodiscard]] bool used() const;
  // For whom. Its cost grows with the number of lanes.
  [[nodiscard]] std::set<uid_t> uids() const;
  [[nodiscard]] TargetCounters& counters() { return *counters_; }
  [[nodiscard]] TargetSnapshot snapshot() const;

  // For tests and status.
  [[nodiscard]] std::size_t upstreams() const { return upstreams_.size(); }
  [[nodiscard]] std::size_t ready_upstreams() const;
  [[nodiscard]] std::size_t waiting() const { return queue_.waiting(); }

 private:
  void on_upstream_ready(Upstream& upstream) override;
  void on_upstream_reply(Upstream& upstream, Calls call, const policy::Frame& reply) override;
  void on_upstream_event(Upstream& upstream, const policy::Frame& event) override;
  void on_upstream_closed(Upstream& upstream, const policy::Fault& fault,
                          const tunnel::io::Reason& reason) override;
  void on_events_pending() override;

  void dispatch();
  void limit_queue();
  Upstream* choose(const Call& call);
  [[nodiscard]] bool takes(const Upstream& upstream) const { return silence_.takes(upstream); }
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] bool lacks_place() const;
  [[nodiscard]] Queue::Places places() const;
  [[nodiscard]] std::size_t allowed_upstreams() const;
  [[nodiscard]] std::size_t overdue_at(bool replaced) const;
  Upstream* event_upstream();
  [[nodiscard]] bool wanted() const;
  void reach(bool ahead = false);
  void dial();
  void dial_now();
  void let_next_dial(const Upstream& upstream);
  void slow_down(Milliseconds ready_since);
  void retry_later(const tunnel::io::Reason& reason);
  // `blamed`: one of the calls may be why it was lost.
  void retake(Calls calls, Milliseconds ready_since, const policy::Fault& fault, bool blamed);
  void give_up_hanging(Calls& calls, const Upstream& lost, const tunnel::io::Reason& reason);
  void give_up(const policy::Fault& fault);
  void catch_up();
  void end_opener();
  void sweep();
  void watch();
  Calls expired_in_flight(tunnel::io::Part& part);
  void fall_silent(const Call& call);
  void answer(const Call& call);
  bool answer_at_once(Lane& lane, const Call& call);
  void hand_out(const Upstream& upstream, const Call& call, const policy::Frame& reply);
  void ask_without_nowait(Call& call, const policy::Frame& reply);
  void replace_stuck();
  void end_replaced();
  void fail_all(const Calls& calls, const policy::Fault& fault);
  void let_idle_go();
  void let_old_tunnels_go();
  [[nodiscard]] Milliseconds patience(const Call& call, Milliseconds at_least) const {
    return estimates_.patience(call, at_least, target_.call_timeout);
  }
  [[nodiscard]] policy::Fault timeout_fault(const Call* call) const;
  [[nodiscard]] policy::Fault late_fault(const Call& call) const;

  tunnel::io::Clock& clock_;
  Log& log_;
  Sasl& sasl_;
  Slabs& slabs_;
  conf::TargetConfig target_;
  const conf::Limits& limits_;
  std::unique_ptr<tunnel::Tunnel> tunnel_;
  // Of before retarget(), for upstreams that still finish.
  std::vector<std::unique_ptr<tunnel::Tunnel>> old_tunnels_;
  const std::shared_ptr<TargetCounters> counters_;
  Upstreams upstreams_;
  Silence silence_;
  Upstream* event_upstream_ = nullptr;
  Events events_;

  Queue queue_;
  NoWait nowait_;
  Recent recent_;
  Names names_;
  std::list<Opener> openers_;
  Estimates estimates_;
  GivenUp given_up_;

  tunnel::io::Timer retry_;
  tunnel::io::Timer refuse_;
  tunnel::io::Timer sweep_;
  tunnel::io::Timer rest_;  // of what is due
  tunnel::io::Timer watch_;
  tunnel::io::Timer idle_;
  tunnel::io::Timer old_;
  Retries retries_;
  Pacer::Turn turn_;
  Upstream* dialled_ = nullptr;  // whose turn it is
  bool dialled_in_silence_ = false;
  Milliseconds unused_since_{0};     // when the last user left
  Milliseconds lost_{-1};            // when an upstream was lost last
  Milliseconds no_growth_until_{0};  // after an additional upstream was refused
  policy::Fault last_fault_;
  std::optional<UpstreamFailure> last_failure_;
  std::function<void()> closed_;
};

}  // namespace proxy
