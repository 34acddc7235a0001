// A call on its way from a client to a daemon, and what carries it there.
#pragma once

#include <cstdint>
#include <list>

#include <sys/types.h>

#include "base/bytes.h"
#include "policy/error.h"
#include "policy/message.h"
#include "tunnel/io/clock.h"

namespace proxy {

using tunnel::io::Milliseconds;

struct Call;
struct Lane;

// Lists of one element move calls between owners without copying them.
using Calls = std::list<Call>;

// A user of a pool, most often a client. The pool calls it from the loop; it may call the pool
// back, and must not go away in the call.
class PoolUser {
 public:
  virtual ~PoolUser() = default;

  // The answer to wait() when that had to wait.
  virtual void on_target_ready() = 0;
  virtual void on_target_failed(const policy::Fault& fault) = 0;

  // The end of a call, exactly one of the two. `status` is ok or error; `body` lives as long as the
  // call.
  virtual void on_reply(const Call& call, policy::Status status, base::Bytes body) = 0;
  virtual void on_call_failed(const Call& call, const policy::Fault& fault) = 0;

  // An event that the user subscribed to, as the message to send: its procedure, and its body in
  // two parts.
  virtual void on_event(std::int32_t procedure, base::Bytes first, base::Bytes rest) = 0;
  // The target stayed away so long that events must be taken as lost.
  virtual void on_events_lost(const policy::Fault& fault) = 0;

  // Whether a reply could be handed over now. When it says no, it calls Pool::wake() as soon as it
  // would say yes.
  virtual bool can_take_reply() = 0;
};

struct Call {
  std::uint32_t program = policy::kRemoteProgram;
  std::int32_t procedure = 0;
  std::uint32_t serial = 0;           // the client's
  std::uint32_t upstream_serial = 0;  // of the latest attempt
  std::uint8_t losses = 0;            // attempts that ended with the upstream
  Milliseconds began{0};              // when it came
  Milliseconds deadline{0};
  Lane* lane = nullptr;  // null: nobody waits for it any more
  base::Buffer body;     // as the filter encoded it
};

// One user's place in a pool: its calls that wait for an upstream. The user owns it and ends it
// with Pool::leave().
struct Lane {
  // In which of the pool's lists it is.
  enum class Place : std::uint8_t {
    opening,   // waits for the target
    idle,      // nothing to send
    queued,    // has a call to send, and its turn comes
    parked,    // until the user can take replies again
    full,      // until one of its calls in flight is answered
    detached,  // in none
  };

  Lane(PoolUser& u, uid_t who) : user(u), uid(who) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  PoolUser& user;
  const uid_t uid;  // of the person for whom it is
  Calls waiting;
  std::list<Lane*>::iterator node;
  std::uint32_t in_flight = 0;
  std::uint32_t most_in_flight = 0;  // 0: as many as the pool lets it have
  std::uint32_t subscriptions = 0;   // to events
  Place place = Place::detached;
};

}  // namespace proxy
