#include "proxy/events.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

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

Events::Key Events::key_of(const Registration& r) {
  return {r.kind->family, r.kind->id, std::string(base::text_of(r.object))};
}

bool Events::holds(const Registration& r, const Lane& lane, bool older) {
  const auto same = [&](const Subscriber& s) { return s.lane == &lane && s.older == older; };
  return std::any_of(r.subscribers.begin(), r.subscribers.end(), same) ||
         std::any_of(r.applicants.begin(), r.applicants.end(),
                     [&](const Applicant& a) { return same(a.subscriber); });
}

void Events::subscribe(Lane& lane, Call call, std::int32_t event_id, base::Bytes object) {
  call.lane = &lane;
  const EventCall* how = policy::find_event_call(call.procedure);
  CHECK(how != nullptr && how->adds);
  const EventKind* kind = policy::find_event(how->family, event_id);
  if (kind == nullptr || (how->older && kind->older == 0)) {
    return fail(call, ErrorCode::internal_error,
                "unsupported event ID " + std::to_string(event_id));
  }
  const base::Buffer any = encode_int(0);
  const base::Bytes filter = object.empty() ? base::Bytes(any) : object;
  const Key key{how->family, event_id, std::string(base::text_of(filter))};
  auto found = registrations_.find(key);
  if (found == registrations_.end()) {
    if (registrations_.size() >= kMostRegistrations) {
      return fail(call, ErrorCode::internal_error,
                  "this target has as many event registrations as it may");
    }
    found = registrations_.emplace(key, Registration{}).first;
    found->second.kind = kind;
    found->second.object.assign(filter.begin(), filter.end());
    todo(found->second);
  }
  Registration& registration = found->second;
  if (holds(registration, lane, how->older)) {
    return fail(call, how->older ? ErrorCode::internal_error : ErrorCode::invalid_argument,
                "event " + std::to_string(event_id) + " is already registered on this connection");
  }
  ++lane.subscriptions;
  Applicant applicant{{&lane, how->older ? event_id : next_id_++, how->older}, std::move(call)};
  if (next_id_ < 0) next_id_ = 0;
  if (registration.state == State::active) {
    registration.subscribers.push_back(applicant.subscriber);
    return confirm(applicant);
  }
  registration.applicants.push_back(std::move(applicant));
  owner_.on_events_pending();
}

void Events::confirm(const Applicant& applicant) {
  const base::Buffer id = encode_int(applicant.subscriber.id);
  applicant.subscriber.lane->user.on_reply(applicant.call, Status::ok,
                                           applicant.subscriber.older ? base::Bytes() : id);
}

void Events::unsubscribe(Lane& lane, const Call& call, std::int32_t id) {
  const EventCall* how = policy::find_event_call(call.procedure);
  CHECK(how != nullptr && !how->adds);
  Call answered = call;
  answered.lane = &lane;
  for (auto& [key, registration] : registrations_) {
    if (registration.kind->family != how->family) continue;
    auto& subscribers = registration.subscribers;
    const auto it = std::find_if(subscribers.begin(), subscribers.end(), [&](const Subscriber& s) {
      return s.lane == &lane && s.older == how->older && s.id == id;
    });
    if (it == subscribers.end()) continue;
    subscribers.erase(it);
    --lane.subscriptions;
    release(registration);
    return lane.user.on_reply(answered, Status::ok, {});
  }
  fail(answered, ErrorCode::internal_error,
       "event callback " + std::to_string(id) + " is not registered on this connection");
}

void Events::leave(Lane& lane) {
  if (lane.subscriptions == 0) return;
  lane.subscriptions = 0;
  for (auto it = registrations_.begin(); it != registrations_.end();) {
    Registration& registration = it++->second;
    const auto gone = std::erase_if(registration.subscribers,
                                    [&](const Subscriber& s) { return s.lane == &lane; }) +
                      std::erase_if(registration.applicants,
                                    [&](const Applicant& a) { return a.subscriber.lane == &lane; });
    if (gone != 0) release(registration);
  }
}

void Events::release(Registration& registration) {
  if (!registration.subscribers.empty() || !registration.applicants.empty()) return;
  if (registration.in_flight) return;
  if (registration.state == State::wanted) return erase(registration);
  if (registration.state == State::undoing) return;
  registration.state = State::undoing;
  todo(registration);
  owner_.on_events_pending();
}

void Events::erase(const Registration& registration) {
  if (registration.state == State::active || registration.state == State::undoing) {
    by_daemon_id_.erase({registration.kind->family, registration.daemon_id});
  }
  registrations_.erase(key_of(registration));
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
    call.body = encode_int(adds ? registration.kind->id : registration.daemon_id);
    if (adds) {
      base::append(call.body, registration.object);
      registration.state = State::asked;
    }
    registration.in_flight = true;
  }
  return out;
}

bool Events::waiting() const {
  return std::any_of(registrations_.begin(), registrations_.end(),
                     [](const auto& r) { return !r.second.applicants.empty(); });
}

Events::Registration* Events::asked_by(const Call& call) {
  for (auto& [key, registration] : registrations_) {
    if (registration.in_flight && registration.asked_as == call.serial) return &registration;
  }
  return nullptr;
}

bool Events::on_reply(const Call& call, const Frame& reply) {
  if (policy::find_event_call(call.procedure) == nullptr) return true;
  Registration* registration = asked_by(call);
  if (registration == nullptr) return true;
  registration->in_flight = false;
  const bool well_formed = answered(*registration, reply);
  if (!asks_for(nullptr)) forget_early();
  return well_formed;
}

bool Events::answered(Registration& registration, const Frame& reply) {
  if (registration.state == State::undoing) {
    if (registration.subscribers.empty() && registration.applicants.empty()) {
      erase(registration);
    } else {
      by_daemon_id_.erase({registration.kind->family, registration.daemon_id});
      registration.state = State::wanted;
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

// Null: for any kind.
bool Events::asks_for(const EventKind* kind) const {
  return std::any_of(registrations_.begin(), registrations_.end(), [&](const auto& r) {
    return r.second.state == State::asked && (kind == nullptr || r.second.kind == kind);
  });
}

bool Events::registered(Registration& registration, const Frame& reply) {
  const std::optional<std::int32_t> id = first_int(reply.body);
  if (!id || !by_daemon_id_.try_emplace({registration.kind->family, *id}, &registration).second) {
    return false;
  }
  registration.daemon_id = *id;
  registration.state = State::active;
  // Whoever is told may go on with calls that it has sent already, and leave again: all are
  // subscribers before the first hears of it.
  const auto applicants = std::exchange(registration.applicants, {});
  for (const Applicant& applicant : applicants) {
    registration.subscribers.push_back(applicant.subscriber);
  }
  for (const Applicant& applicant : applicants) confirm(applicant);
  deliver_early(registration);
  release(registration);
  return true;
}

void Events::not_registered(Registration& registration, const Frame& reply) {
  const base::Buffer body(reply.body.begin(), reply.body.end());
  const auto applicants = std::exchange(registration.applicants, {});
  const auto subscribers = std::exchange(registration.subscribers, {});
  erase(registration);
  for (const Applicant& applicant : applicants) {
    --applicant.subscriber.lane->subscriptions;
    applicant.subscriber.lane->user.on_reply(applicant.call, Status::error, body);
  }
  for (const Subscriber& subscriber : subscribers) {
    --subscriber.lane->subscriptions;
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
  if (asks_for(kind)) keep_early({kind, *id, {rest.begin(), rest.end()}});
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
  for (const Subscriber& subscriber : registration.subscribers) {
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
  by_daemon_id_.clear();
  for (auto it = registrations_.begin(); it != registrations_.end();) {
    Registration& registration = it->second;
    registration.in_flight = false;
    registration.state = State::wanted;
    if (registration.subscribers.empty() && registration.applicants.empty()) {
      it = registrations_.erase(it);
    } else {
      todo_.push_back(it++->first);
    }
  }
}

void Events::give_up(const Fault& fault) {
  const auto all = std::exchange(registrations_, {});
  upstream_lost();
  std::set<Lane*> subscribers;
  for (const auto& [key, registration] : all) {
    for (const Applicant& applicant : registration.applicants) {
      --applicant.subscriber.lane->subscriptions;
      applicant.subscriber.lane->user.on_call_failed(applicant.call, fault);
    }
    for (const Subscriber& subscriber : registration.subscribers) {
      --subscriber.lane->subscriptions;
      subscribers.insert(subscriber.lane);
    }
  }
  for (Lane* lane : subscribers) lane->user.on_events_lost(fault);
}

void Events::expire(Milliseconds now, const Fault& fault) {
  std::vector<Call> late;
  for (auto it = registrations_.begin(); it != registrations_.end();) {
    Registration& registration = it++->second;
    const std::size_t before = late.size();
    std::erase_if(registration.applicants, [&](Applicant& applicant) {
      if (applicant.call.deadline > now) return false;
      late.push_back(std::move(applicant.call));
      return true;
    });
    if (late.size() != before) release(registration);
  }
  for (const Call& call : late) {
    --call.lane->subscriptions;
    call.lane->user.on_call_failed(call, fault);
  }
}

}  // namespace proxy
