// A call on its way from a client to a daemon, and what carries it there.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include <sys/types.h>

#include "base/bytes.h"
#include "policy/error.h"
#include "policy/events.h"
#include "policy/message.h"
#include "policy/subject.h"
#include "tunnel/io/clock.h"

namespace proxy {

using tunnel::io::Milliseconds;

struct Call;
struct Kind;
struct Lane;
struct Strand;
struct Party;
struct Question;
struct Topic;
struct Waiters;

// What is registered for at a daemon: an event, of all objects or of the one that the daemon finds
// by these bytes.
using EventKey = std::tuple<policy::EventFamily, std::int32_t, std::string>;

struct Subscription {
  EventKey event;
  std::uint64_t order;  // among all of the target
};

// Lists of one element move calls between owners without copying them.
using Calls = std::list<Call>;

// A user of a pool, most often a client. The pool calls it from the loop; it may call the pool
// back, and must not go away in the call.
class PoolUser {
 public:
  virtual ~PoolUser() = default;

  // The answer to Pool::attach() when that had to wait.
  virtual void on_target_ready() = 0;
  virtual void on_target_failed(const policy::Fault& fault) = 0;

  // The end of a call, exactly one of the two; it may come while the call is handed over. `status`
  // is ok or error; `body` lives as long as the call, or as its keeper.
  virtual void on_reply(const Call& call, policy::Status status, base::Bytes body,
                        const base::Keeper& keeper) = 0;
  virtual void on_call_failed(const Call& call, const policy::Fault& fault) = 0;

  // An event that the user subscribed to, as the message to send: its procedure, and its body in
  // two parts.
  virtual void on_event(std::int32_t procedure, base::Bytes first, base::Bytes rest) = 0;
  // The target stayed away so long that events must be taken as lost.
  virtual void on_events_lost(const policy::Fault& fault) = 0;

  // Whether a reply could be handed over now. When it says no, it calls Pool::wake() as soon as it
  // would say yes.
  virtual bool can_take_reply() = 0;
  // So many bytes of replies are on their way to it, as far as can be told.
  virtual void on_expected(std::uint64_t bytes) { static_cast<void>(bytes); }
};

struct Call {
  std::uint32_t program = policy::kRemoteProgram;
  std::int32_t procedure = 0;
  std::uint32_t serial = 0;           // the client's
  std::uint32_t upstream_serial = 0;  // of the latest attempt
  std::uint8_t losses = 0;   // upstreams that ended with it and began after the loss before
  bool nowait = false;       // NoWait has added to what it asks
  bool probe = false;        // asks whether a silent subject answers again
  bool suspect = false;      // at the daemon, and may be what ends upstreams
  bool late = false;         // at the daemon for longer than its kind takes, not yet overdue
  bool overdue = false;      // at the daemon for much longer than its kind takes
  bool unsure = false;       // at the daemon, and may hang as much else does there
  bool given_up = false;     // at the daemon, and its upstream is ended without its answer
  bool strange = false;      // at the daemon, and its subject has answered nothing yet
  std::uint64_t number = 0;  // of its lane's calls, in the order in which they came
  Milliseconds began{0};     // when it came
  Milliseconds sent{0};      // the latest attempt
  Milliseconds lost{0};      // the latest of the losses
  Milliseconds deadline{0};
  std::uint64_t expected = 0;  // bytes of its reply
  policy::Subject subject;
  std::string asked_by;  // of a look-up: the name or id in the client's words, as a key
  Lane* lane = nullptr;  // null: nobody waits for it any more
  base::Buffer body;     // as the filter encoded it
  Calls joined;          // the same call of others, which its answer is for too

  // Of the queue: where it waits, and what it counts for at the daemon.
  Strand* line = nullptr;
  std::multimap<Milliseconds, Call*>::iterator due;
  bool ended = false;  // is to be told `why` when its turn comes
  std::list<Call*>::iterator end;
  std::shared_ptr<const policy::Fault> why;
  Question* question = nullptr;
  std::list<Call*>::iterator asking;
  Kind* kind = nullptr;
  Topic* topic = nullptr;  // while it is at the daemon
  Party* payer = nullptr;

  // Somebody waits for its answer.
  [[nodiscard]] bool wanted() const;
};

// A lane that waits for the target; `why`: it is to be told so, unless the target is there first.
struct Opener {
  Lane* lane = nullptr;
  std::shared_ptr<const policy::Fault> why;
};

// One user's part in a pool: its calls that wait for an upstream, by subject. The user owns it and
// ends it with Pool::leave().
struct Lane {
  enum class State : std::uint8_t {
    detached,  // of no pool
    opening,   // waits for the target
    open,      // its calls are sent when their turn comes
    parked,    // until the user can take replies again
    full,      // until one of its calls in flight is answered
  };

  Lane(PoolUser& u, uid_t who) : user(u), uid(who) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  PoolUser& user;
  const uid_t uid;  // of the person for whom it is
  State state = State::detached;
  std::uint32_t in_flight = 0;  // calls at the daemon that are not overdue
  std::uint64_t expected = 0;   // bytes of their replies
  // Calls of the user, with those of its other lanes, at the daemon at once; 0: as the pool lets
  // it.
  std::uint32_t most_in_flight = 0;
  std::uint32_t subscriptions = 0;  // to events
  // Of the events: those subscriptions, by whether they are older ones and their ids.
  std::map<std::pair<bool, std::int32_t>, Subscription> events;
  std::set<std::pair<bool, EventKey>> event_keys;  // of the same

  // Of the queue.
  std::uint64_t number = 0;  // in the order in which they came
  std::uint64_t calls = 0;   // that it has brought
  Party* party = nullptr;
  std::list<Lane*>::iterator node;     // among those of its party
  std::list<Opener>::iterator opener;  // among those that wait for the target
  std::list<Lane*>::iterator turn;     // among those with something to send
  std::list<Strand> lines;             // none is empty
  std::list<Strand*> ready;
};

// The calls of one lane about one subject, in the order in which they came.
struct Strand {
  enum class At : std::uint8_t {
    held,      // its lane has to wait
    ready,     // among those of its lane with something to send
    waiting,   // among `waiters`
    question,  // until the same call, which is at the daemon, has been answered
  };
  Lane* lane;
  Topic* topic;
  At at = At::held;
  Waiters* waiters = nullptr;    // where it waits, or was woken
  Question* question = nullptr;  // while at one
  std::list<Strand*>::iterator node;
  Calls calls;
};

inline bool Call::wanted() const {
  if (lane != nullptr) return true;
  for (const Call& one : joined) {
    if (one.lane != nullptr) return true;
  }
  return false;
}

// The same call of the one who asked first, without those that joined.
inline Calls one_asker(const Call& call) {
  Calls out;
  Call& one = out.emplace_back();
  one.program = call.program;
  one.procedure = call.procedure;
  one.serial = call.serial;
  one.losses = call.losses;
  one.nowait = call.nowait;
  one.lost = call.lost;
  one.probe = call.probe;
  one.number = call.number;
  one.began = call.began;
  one.sent = call.sent;
  one.deadline = call.deadline;
  one.expected = call.expected;
  one.subject = call.subject;
  one.asked_by = call.asked_by;
  one.lane = call.lane;
  one.body = call.body;
  return out;
}

}  // namespace proxy
