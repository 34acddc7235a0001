#include "proxy/upstream/events.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "policy/xdr.h"

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::EventCall;
using policy::EventKind;
using policy::Fault;
using policy::Frame;
using policy::Status;

namespace {

base::Buffer encode_int(std::int32_t value) {
  base::Buffer out;
  policy::XdrWriter(out).number(value);
  return out;
}

std::optional<std::int32_t> first_int(base::Bytes body) {
  std::uint32_t word = 0;
  if (!policy::XdrReader(body).word(word)) return std::nullopt;
  return static_cast<std::int32_t>(word);
}

}  // namespace

void Events::fail(const Call& call, ErrorCode code, std::string text) {
  call.lane->user.on_call_failed(call, {code, ErrorDomain::remote, std::move(text)});
}

Events::Key Events::key_of(const Registration& r) { return {r.kind->family, r.kind->id, r.key}; }

// It is out of the registration already.
void Events::forget(Registration& registration, const Subscriber& subscriber) {
  Lane& lane = *subscriber.lane;
  --lane.subscriptions;
  lane.events.erase({subscriber.older, subscriber.id});
  lane.event_keys.erase({subscriber.older, key_of(registration)});
  const auto user = registration.users.find(lane.uid);
  CHECK(user != registration.users.end());
  if (--user->second == 0) registration.users.erase(user);
  if (registration.users.empty() || registration.users.contains(registration.payer)) return;
  // Somebody else uses it now.
  if (--paid_[registration.payer] == 0) paid_.erase(registration.payer);
  registration.payer = registration.users.begin()->first;
  ++paid_[registration.payer];
}

void Events::subscribe(Lane& lane, Call call, std::int32_t event_id, base::Bytes object,
                       base::Bytes key) {
  call.lane = &lane;
  const EventCall* how = policy::find_event_call(call.procedure);
  CHECK(how != nullptr && how->adds);
  const EventKind* kind = policy::find_event(how->family, event_id);
  if (kind == nullptr || (how->older && kind->older == 0)) {
    return fail(call, ErrorCode::internal_error,
                "unsupported event ID " + std::to_string(event_id));
  }
  const Key wanted{how->family, event_id, std::string(base::text_of(key))};
  auto found = registrations_.find(wanted);
  if (found == registrations_.end()) {
    const auto paid = paid_.find(lane.uid);
    if (registrations_.size() >= kMostRegistrations) {
      return fail(call, ErrorCode::internal_error, "too many event registrations at this target");
    }
    if (paid != paid_.end() && paid->second >= kMostOfUser) {
      return fail(call, ErrorCode::internal_error,
                  "too many event registrations of this user at this target");
    }
    const base::Buffer any = encode_int(0);
    const base::Bytes filter = object.empty() ? base::Bytes(any) : object;
    found = registrations_.emplace(wanted, Registration{}).first;
    found->second.kind = kind;
    found->second.key = std::get<std::string>(wanted);
    found->second.object.assign(filter.begin(), filter.end());
    found->second.payer = lane.uid;
    ++paid_[lane.uid];
    todo(found->second);
  }
  Registration& registration = found->second;
  if (!lane.event_keys.emplace(how->older, wanted).second) {
    return fail(call, how->older ? ErrorCode::internal_error : ErrorCode::invalid_argument,
                "event " + std::to_string(event_id) + " is already registered on this connection");
  }
  ++lane.subscriptions;
  ++registration.users[lane.uid];
  Applicant applicant{{&lane, how->older ? event_id : next_id_++, how->older}, std::move(call)};
  if (next_id_ < 0) next_id_ = 0;
  const std::uint64_t order = next_order_++;
  lane.events[{how->older, applicant.subscriber.id}] = {wanted, order};
  if (registration.state == State::active) {
    registration.subscribers.emplace(order, applicant.subscriber);
    return confirm(applicant);
  }
  registration.applicants.emplace(order, std::move(applicant));
  ++applying_;
  owner_.on_events_pending();
}

void Events::confirm(const Applicant& applicant) {
  const base::Buffer id = encode_int(applicant.subscriber.id);
  applicant.subscriber.lane->user.on_reply(applicant.call, Status::ok,
                                           applicant.subscriber.older ? base::Bytes() : id, {});
}

void Events::unsubscribe(Lane& lane, const Call& call, std::int32_t id) {
  const EventCall* how = policy::find_event_call(call.procedure);
  CHECK(how != nullptr && !how->adds);
  Call answered = call;
  answered.lane = &lane;
  const auto named = lane.events.find({how->older, id});
  if (named != lane.events.end() && std::get<0>(named->second.event) == how->family) {
    Registration& registration = registrations_.at(named->second.event);
    const auto subscriber = registration.subscribers.find(named->second.order);
    if (subscriber != registration.subscribers.end()) {
      const Subscriber gone = subscriber->second;
      registration.subscribers.erase(subscriber);
      forget(registration, gone);
      release(registration);
      return lane.user.on_reply(answered, Status::ok, {}, {});
    }
  }
  fail(answered, ErrorCode::internal_error,
       "event callback " + std::to_string(id) + " is not registered on this connection");
}

void Events::leave(Lane& lane) {
  while (!lane.events.empty()) {
    const auto [name, subscription] = *lane.events.begin();
    Registration& registration = registrations_.at(subscription.event);
    registration.subscribers.erase(subscription.order);
    applying_ -= registration.applicants.erase(subscription.order);
    forget(registration, {&lane, name.second, name.first});
    release(registration);
  }
}

void Events::release(Registration& registration) {
  if (!registration.subscribers.empty() || !registration.applicants.empty()) return;
  if (registration.in_flight) return;
  if (registration.state == State::wanted) return erase(registration);
  if (registration.state == State::undoing) return;
  become(registration, State::undoing);
  todo(registration);
  owner_.on_events_pending();
}

void Events::erase(const Registration& registration) {
  if (registration.state == State::active || registration.state == State::undoing) {
    by_daemon_id_.erase({registration.kind->family, registration.daemon_id});
  }
  if (--paid_[registration.payer] == 0) paid_.erase(registration.payer);
  registrations_.erase(key_of(registration));
}

void Events::become(Registration& registration, State next) {
  const State before = std::exchange(registration.state, next);
  if (next == State::asked) ++asking_[registration.kind];
  if (before != State::asked) return;
  const auto asking = asking_.find(registration.kind);
  CHECK(asking != asking_.end());
  if (--asking->second == 0) asking_.erase(asking);
}

std::map<std::uint64_t, Events::Applicant> Events::take_applicants(Registration& registration) {
  applying_ -= registration.applicants.size();
  return std::exchange(registration.applicants, {});
}

void Events::forget_all(Lane& lane) {
  lane.subscriptions = 0;
  lane.events.clear();
  lane.event_keys.clear();
}

void Events::todo(const Registration& registration) { todo_.push_back(key_of(registration)); }

Calls Events::next() {
  Calls out;
  while (!todo_.empty() && out.empty()) {
    const auto found = registrations_.find(todo_.front());
    todo_.pop_front();
    if (found == registrations_.end()) continue;
    Registration& registration = found->second;
    const bool adds = registration.state == State::wanted;
    if (registration.in_flight || (!adds && registration.state != State::undoing)) continue;
    Call& call = out.emplace_back();
    call.procedure = policy::event_procedure(registration.kind->family, adds);
    call.serial = registration.asked_as = next_call_++;
    asked_[call.serial] = key_of(registration);
    call.body = encode_int(adds ? registration.kind->id : registration.daemon_id);
    if (adds) {
      base::append(call.body, registration.object);
      become(registration, State::asked);
    }
    registration.in_flight = true;
  }
  return out;
}

Events::Registration* Events::asked_by(const Call& call) {
  const auto asked = asked_.find(call.serial);
  if (asked == asked_.end()) return nullptr;
  const auto found = registrations_.find(asked->second);
  asked_.erase(asked);
  const bool ours = found != registrations_.end() && found->second.in_flight &&
                    found->second.asked_as == call.serial;
  return ours ? &found->second : nullptr;
}

bool Events::on_reply(const Call& call, const Frame& reply) {
  if (policy::find_event_call(call.procedure) == nullptr) return true;
  Registration* registration = asked_by(call);
  if (registration == nullptr) return true;
  registration->in_flight = false;
  const bool well_formed = answered(*registration, reply);
  if (asking_.empty()) forget_early();
  return well_formed;
}

bool Events::answered(Registration& registration, const Frame& reply) {
  if (registration.state == State::undoing) {
    if (registration.subscribers.empty() && registration.applicants.empty()) {
      erase(registration);
    } else {
      by_daemon_id_.erase({registration.kind->family, registration.daemon_id});
      become(registration, State::wanted);
      todo(registration);
      owner_.on_events_pending();
    }
  } else if (reply.header.is(Status::ok)) {
    return registered(registration, reply);
  } else {
    not_registered(registration, reply);
  }
  return true;
}

bool Events::registered(Registration& registration, const Frame& reply) {
  const std::optional<std::int32_t> id = first_int(reply.body);
  if (!id || !by_daemon_id_.try_emplace({registration.kind->family, *id}, &registration).second) {
    return false;
  }
  registration.daemon_id = *id;
  become(registration, State::active);
  // Whoever is told may go on with calls that it has sent already, and leave again: all are
  // subscribers before the first hears of it.
  const auto applicants = take_applicants(registration);
  for (const auto& [order, applicant] : applicants) {
    registration.subscribers.emplace(order, applicant.subscriber);
  }
  for (const auto& [order, applicant] : applicants) confirm(applicant);
  deliver_early(registration);
  release(registration);
  return true;
}

void Events::not_registered(Registration& registration, const Frame& reply) {
  const base::Buffer body(reply.body.begin(), reply.body.end());
  const auto applicants = take_applicants(registration);
  const auto subscribers = std::exchange(registration.subscribers, {});
  for (const auto& [order, applicant] : applicants) forget(registration, applicant.subscriber);
  for (const auto& [order, subscriber] : subscribers) forget(registration, subscriber);
  become(registration, State::wanted);
  erase(registration);
  for (const auto& [order, applicant] : applicants) {
    applicant.subscriber.lane->user.on_reply(applicant.call, Status::error, body, {});
  }
  for (const auto& [order, subscriber] : subscribers) {
    const policy::RemoteError said = policy::decode_error(body);
    subscriber.lane->user.on_events_lost(
        {ErrorCode::rpc, ErrorDomain::rpc, "the daemon no longer takes the event: " + said.text});
  }
}

bool Events::on_event(const Frame& event) {
  const EventKind* kind = policy::find_event_message(event.header.procedure);
  // The older messages and the end of the daemon's own driver are never asked for.
  if (kind == nullptr) return false;
  const std::optional<std::int32_t> id = first_int(event.body);
  if (!id) return false;
  const base::Bytes rest = event.body.subspan(4);
  const auto found = by_daemon_id_.find({kind->family, *id});
  if (found != by_daemon_id_.end()) {
    if (found->second->kind != kind) return false;
    hand_out(*found->second, rest);
    return true;
  }
  // Daemons send an event and the answer to its registration from different threads.
  if (asking_.contains(kind)) keep_early({kind, *id, {rest.begin(), rest.end()}});
  return true;
}

void Events::keep_early(Early event) {
  const std::size_t size = event.rest.size() + sizeof(Early);
  if (size > kMostEarly - early_bytes_) return;
  early_bytes_ += size;
  early_.push_back(std::move(event));
}

void Events::forget_early() {
  early_.clear();
  early_bytes_ = 0;
}

void Events::hand_out(const Registration& registration, base::Bytes rest) {
  for (const auto& [order, subscriber] : registration.subscribers) {
    PoolUser& user = subscriber.lane->user;
    if (subscriber.older) {
      user.on_event(registration.kind->older, {}, rest);
    } else {
      user.on_event(registration.kind->procedure, encode_int(subscriber.id), rest);
    }
  }
}

void Events::deliver_early(const Registration& registration) {
  auto early = std::exchange(early_, {});
  early_bytes_ = 0;
  for (Early& event : early) {
    if (event.kind == registration.kind && event.daemon_id == registration.daemon_id) {
      hand_out(registration, event.rest);
    } else {
      keep_early(std::move(event));
    }
  }
}

void Events::upstream_lost() {
  forget_early();
  todo_.clear();
  asked_.clear();
  by_daemon_id_.clear();
  for (auto it = registrations_.begin(); it != registrations_.end();) {
    Registration& registration = it->second;
    registration.in_flight = false;
    become(registration, State::wanted);
    if (registration.subscribers.empty() && registration.applicants.empty()) {
      erase((it++)->second);
    } else {
      todo_.push_back(it++->first);
    }
  }
}

void Events::give_up(const Fault& fault) {
  upstream_lost();
  auto all = std::exchange(registrations_, {});
  todo_.clear();
  paid_.clear();
  applying_ = 0;
  std::vector<Applicant> applicants;
  std::map<std::uint64_t, Lane*> subscribers;  // one entry a lane, in their order
  for (auto& [key, registration] : all) {
    for (auto& [order, applicant] : registration.applicants) {
      applicants.push_back(std::move(applicant));
    }
    for (const auto& [order, subscriber] : registration.subscribers) {
      subscribers.emplace(subscriber.lane->number, subscriber.lane);
    }
  }
  for (const auto& [number, lane] : subscribers) forget_all(*lane);
  for (const Applicant& applicant : applicants) forget_all(*applicant.subscriber.lane);
  for (const Applicant& applicant : applicants) {
    applicant.subscriber.lane->user.on_call_failed(applicant.call, fault);
  }
  for (const auto& [number, lane] : subscribers) lane->user.on_events_lost(fault);
}

void Events::expire(Milliseconds now, const Fault& fault) {
  if (applying_ == 0) return;
  std::vector<Call> late;
  for (auto it = registrations_.begin(); it != registrations_.end();) {
    Registration& registration = it++->second;
    const std::size_t before = late.size();
    for (auto at = registration.applicants.begin(); at != registration.applicants.end();) {
      const auto one = at++;
      if (one->second.call.deadline > now) continue;
      Applicant applicant = std::move(one->second);
      registration.applicants.erase(one);
      --applying_;
      forget(registration, applicant.subscriber);
      late.push_back(std::move(applicant.call));
    }
    if (late.size() != before) release(registration);
  }
  for (const Call& call : late) call.lane->user.on_call_failed(call, fault);
}

}  // namespace proxy
