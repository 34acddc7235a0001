// The events of one target. A daemon lets a connection register for the same event and the same
// object only once, and chooses the callback ids; so each kind is registered once, on one upstream,
// for all who subscribe, under ids that each client gets from here. When the upstream is lost the
// registrations are made again on another; when the last subscriber leaves they are undone.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/events.h"
#include "proxy/upstream/call.h"

namespace proxy {

class EventsOwner {
 public:
  virtual ~EventsOwner() = default;
  // next() has something to send.
  virtual void on_events_pending() = 0;
};

class Events {
 public:
  // Registrations of one target, all clients together, and subscriptions of one client.
  static constexpr std::size_t kMostRegistrations = 4096;
  // Of these, those of one user. One client may have 256 (see registrations_per_client).
  static constexpr std::size_t kMostOfUser = 1024;
  // Events kept until the answer to their registration says whose they are, in bytes. What does not
  // fit is dropped: nobody has been promised an event before that answer.
  static constexpr std::size_t kMostEarly = std::size_t{1} << 20;

  explicit Events(EventsOwner& owner) : owner_(owner) {}
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  // `call` is a registration that the filter let pass: one of policy::event_calls(). `event_id` and
  // `object` (the encoded optional object; empty for the older calls) are its arguments, and `key`
  // is what daemons find the object by, empty for all. The user gets its reply through on_reply()
  // or on_call_failed(), at once or when the daemon has answered.
  void subscribe(Lane& lane, Call call, std::int32_t event_id, base::Bytes object, base::Bytes key);
  // As subscribe(); `id` is the client's callback id, or the event's number for the older calls.
  void unsubscribe(Lane& lane, const Call& call, std::int32_t id);
  void leave(Lane& lane);

  // Somebody waits for an answer.
  [[nodiscard]] bool waiting() const { return applying_ > 0; }
  [[nodiscard]] bool empty() const { return registrations_.empty(); }
  [[nodiscard]] std::size_t registrations() const { return registrations_.size(); }

  // The upstream side. The calls that next() gives belong to the upstream that the owner chose, and
  // to no other. A call to send, its lane null; the list is empty when there is none.
  Calls next();
  // The answer to a call without a lane, of next() or of somebody who has left. False: its form is
  // wrong.
  [[nodiscard]] bool on_reply(const Call& call, const policy::Frame& reply);
  // An event from the chosen upstream. False: its form is wrong.
  [[nodiscard]] bool on_event(const policy::Frame& event);
  // The chosen upstream is gone.
  void upstream_lost();
  // The target is gone for longer than it may: subscribers are told, and all is forgotten.
  void give_up(const policy::Fault& fault);
  // Ends subscriptions that waited past their deadline.
  void expire(Milliseconds now, const policy::Fault& fault);

 private:
  enum class State : std::uint8_t { wanted, asked, active, undoing };

  struct Subscriber {
    Lane* lane = nullptr;
    std::int32_t id = 0;
    bool older = false;
  };
  struct Applicant {
    Subscriber subscriber;
    Call call;
  };
  using Key = EventKey;
  struct Registration {
    const policy::EventKind* kind = nullptr;
    std::string key;
    base::Buffer object;
    uid_t payer = 0;                     // whose registrations it counts among
    std::map<uid_t, std::size_t> users;  // whose subscriptions there are
    State state = State::wanted;
    bool in_flight = false;                           // a call about it is on its way
    std::uint32_t asked_as = 0;                       // that call's serial here
    std::int32_t daemon_id = 0;                       // while active or undoing
    std::map<std::uint64_t, Subscriber> subscribers;  // in their order
    std::map<std::uint64_t, Applicant> applicants;
  };
  struct Early {
    const policy::EventKind* kind;
    std::int32_t daemon_id;
    base::Buffer rest;
  };

  Registration* asked_by(const Call& call);
  static void confirm(const Applicant& applicant);
  bool answered(Registration& registration, const policy::Frame& reply);
  bool registered(Registration& registration, const policy::Frame& reply);
  void not_registered(Registration& registration, const policy::Frame& reply);
  void release(Registration& registration);
  void erase(const Registration& registration);
  void todo(const Registration& registration);
  void forget(Registration& registration, const Subscriber& subscriber);
  void keep_early(Early event);
  void forget_early();
  static void hand_out(const Registration& registration, base::Bytes rest);
  void deliver_early(const Registration& registration);
  void become(Registration& registration, State next);
  std::map<std::uint64_t, Applicant> take_applicants(Registration& registration);
  static void forget_all(Lane& lane);
  static Key key_of(const Registration& registration);
  static void fail(const Call& call, policy::ErrorCode code, std::string text);

  EventsOwner& owner_;
  std::map<Key, Registration> registrations_;
  std::map<std::pair<policy::EventFamily, std::int32_t>, Registration*> by_daemon_id_;
  std::list<Key> todo_;
  std::map<std::uint32_t, Key> asked_;  // by the serials of calls that are on their way
  // Registrations that the daemon is asked for, by kind; none is 0. It is never walked.
  std::map<const policy::EventKind*, std::size_t> asking_;
  std::size_t applying_ = 0;           // applicants
  std::map<uid_t, std::size_t> paid_;  // registrations
  std::vector<Early> early_;
  std::size_t early_bytes_ = 0;
  std::uint32_t next_call_ = 0;
  std::int32_t next_id_ = 0;
  std::uint64_t next_order_ = 0;
};

}  // namespace proxy
