#include "proxy/client/seat.h"

#include <algorithm>
#include <utility>

#include "conf/text.h"
#include "policy/events.h"
#include "policy/procedures.h"

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;

std::string_view Seat::target() const {
  return pool_ == nullptr ? std::string_view("-") : pool_->target().name;
}

void Seat::describe(Line& line) const {
  if (pool_ != nullptr) line.with("target", pool_->target().name);
  if (grant_.rule() != nullptr) line.with("rule", grant_.because());
}

std::optional<Seat::Refused> Seat::take(const Candidate& candidate, Pool* pool, Share* share) {
  grant_ = candidate.grant;
  pool_ = pool;
  if (pool == nullptr) {
    return Refused{Refusal::target,
                   {ErrorCode::no_connect, ErrorDomain::rpc,
                    "there is no target " + conf::quoted(candidate.target) + " any more"}};
  }
  if (share == nullptr) return std::nullopt;
  if (!share->has_room()) {
    const std::string most = std::to_string(share->limits().clients);
    return Refused{Refusal::limit,
                   {ErrorCode::operation_denied, ErrorDomain::rpc,
                    "user " + std::to_string(lane_.uid) + " already has the maximum of " + most +
                        " clients of " + grant_.because(),
                    false, "you already have the maximum of " + most + " connections"}};
  }
  use(*share);
  return std::nullopt;
}

void Seat::use(Share& share) {
  share_.join(share);
  lane_.most_in_flight = share_.limits().calls_in_flight;
}

void Seat::leave_share() {
  share_.leave();
  lane_.most_in_flight = 0;
}

void Seat::forget_rules() {
  leave_share();
  grant_ = policy::Grant();
}

void Seat::forget() {
  pool_ = nullptr;
  grant_ = policy::Grant();
}

void Seat::regrant(const policy::Grant& grant, Share* share) {
  grant_ = grant;
  if (share != nullptr) use(*share);
}

void Seat::leave() {
  if (pool_ != nullptr) pool_->leave(lane_);
  leave_share();
}

std::optional<Fault> Seat::forbidden(const policy::Verdict& verdict) const {
  const policy::Procedure& procedure = *verdict.procedure;
  if (grant_.may(procedure)) return grant_.refusal_of(procedure, verdict.arguments);
  std::string call(procedure.name);
  call += " of target '";
  call += target();
  call += '\'';
  return Fault{
      ErrorCode::operation_denied, ErrorDomain::rpc,
      grant_.because() + " does not let user " + std::to_string(lane_.uid) + " call " + call, false,
      "you may not call " + call};
}

bool Seat::pretends(const policy::Verdict& verdict) const {
  return verdict.procedure != nullptr && grant_.pretends(*verdict.procedure);
}

bool Seat::loses_events(const policy::Grant& next) const {
  return lane_.subscriptions > 0 &&
         std::ranges::any_of(policy::event_calls(), [&](const policy::EventCall& call) {
           const policy::Procedure* row =
               policy::find_procedure(policy::kRemoteProgram, call.procedure);
           return call.adds && grant_.may(*row) && !next.may(*row);
         });
}

}  // namespace proxy
