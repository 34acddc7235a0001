// What a client is answered by the gate itself: the calls that concern this hop only.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "conf/text.h"
#include "policy/events.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "proxy/client.h"

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;
using policy::Header;
using policy::Remote;

namespace {

// virDrvFeature of libvirt's src/libvirt_internal.h, as far as it concerns one hop.
constexpr std::int64_t kFeatureFdPassing = 8;
constexpr std::int64_t kFeatureKeepalive = 10;
constexpr std::int64_t kFeatureEventCallback = 14;
constexpr std::int64_t kFeatureCloseCallback = 15;

}  // namespace

void Client::answer(const Header& header, const policy::Verdict& verdict, base::Buffer encoded) {
  if (policy::find_event_call(header.procedure) != nullptr) {
    return answer_event_call(header, verdict.arguments);
  }
  switch (static_cast<Remote>(header.procedure)) {
    case Remote::AUTH_LIST: {
      base::Buffer none;
      policy::XdrWriter writer(none);
      writer.number(1);
      writer.number(0);
      return reply(header, none);
    }
    case Remote::CONNECT_OPEN:
      return answer_open(header, verdict.arguments);
    case Remote::CONNECT_CLOSE:
      return answer_close(header);
    case Remote::CONNECT_SUPPORTS_FEATURE:
      return answer_feature(header, verdict.arguments[0].number, std::move(encoded));
    case Remote::CONNECT_REGISTER_CLOSE_CALLBACK:
    case Remote::CONNECT_UNREGISTER_CLOSE_CALLBACK:
      close_callback_ =
          header.procedure == static_cast<std::int32_t>(Remote::CONNECT_REGISTER_CLOSE_CALLBACK);
      return reply(header, {});
    default:
      return refuse(header, Refusal::order,
                    {ErrorCode::auth_failed, ErrorDomain::rpc,
                     "no authentication is asked for on this socket"});
  }
}

void Client::answer_open(const Header& header, const policy::Arguments& arguments) {
  if (state_ != State::greeting) {
    return refuse(header, Refusal::order,
                  {ErrorCode::internal_error, ErrorDomain::rpc, "connection already open"});
  }
  const policy::Argument& name = arguments[0];
  state_ = State::opening;
  opening_ = std::make_unique<Opening>();
  opening_->header = header;
  if (name.present) opening_->name = std::string(name.text);
  hold(kOpening);
  arm();
  begin_open();
}

void Client::begin_open() {
  opening_->candidates.clear();
  opening_->next = 0;
  pool_ = nullptr;
  grant_ = policy::Grant();
  auto found = place_.owner.resolve(listen_, peer_, opening_->name);
  if (!found) return open_failed(Refusal::name, found.error());
  opening_->candidates = std::move(found).value();
  try_next_target();
}

void Client::try_next_target() {
  CHECK(opening_->next < opening_->candidates.size());
  const Candidate& candidate = opening_->candidates[opening_->next++];
  grant_ = candidate.grant;
  pool_ = place_.owner.pool(candidate.target);
  if (pool_ == nullptr) {
    return open_failed(Refusal::target,
                       {ErrorCode::no_connect, ErrorDomain::rpc,
                        "there is no target " + conf::quoted(candidate.target) + " any more"});
  }
  if (const policy::AccessRule* rule = grant_.rule()) {
    Share& share = place_.owner.share(*rule, peer_.uid);
    if (!share.has_room()) {
      return open_failed(
          Refusal::limit,
          {ErrorCode::operation_denied, ErrorDomain::rpc,
           "user " + std::to_string(peer_.uid) + " has as many clients as " + grant_.because() +
               " lets them have (" + std::to_string(share.limits().clients) + ")"});
    }
    take_share(share);
  }
  if (pool_->attach(lane_)) on_target_ready();
}

void Client::take_share(Share& share) {
  share_ = &share;
  ++share_->clients;
  lane_.most_in_flight = share_->limits().calls_in_flight;
}

void Client::leave_share() {
  if (share_ != nullptr) --std::exchange(share_, nullptr)->clients;
  lane_.most_in_flight = 0;
}

std::optional<Fault> Client::forbidden(const policy::Procedure& procedure) const {
  if (state_ != State::open || grant_.may(procedure)) return std::nullopt;
  return Fault{ErrorCode::operation_denied, ErrorDomain::rpc,
               grant_.because() + " does not let user " + std::to_string(peer_.uid) + " call " +
                   std::string(procedure.name) + " of target '" + pool_->target().name + "'"};
}

void Client::on_target_ready() {
  if (state_ != State::opening) return;
  state_ = State::open;
  end_.opened = true;
  opened_ = active_ = place_.clock.now();
  const Header header = opening_->header;
  opening_.reset();
  {
    Line opened = line(Level::info, "open");
    opened.with("target", pool_->target().name);
    if (grant_.rule() != nullptr) opened.with("rule", grant_.because());
  }
  reply(header, {});
  arm();
  release(kOpening);
}

void Client::on_target_failed(const Fault& fault) {
  if (state_ == State::opening) return open_failed(Refusal::target, fault);
  // It knows us no more, and may go before we do.
  pool_ = nullptr;
}

void Client::open_failed(Refusal why, const Fault& fault) {
  leave_share();
  if (opening_->next < opening_->candidates.size()) return try_next_target();
  state_ = State::greeting;
  // Only who named what may be is given more time.
  if (why != Refusal::name) began_ = place_.clock.now();
  pool_ = nullptr;
  end_.failure = fault;
  const Header header = opening_->header;
  opening_.reset();
  refuse(header, why, fault);
  arm();
  release(kOpening);
}

// Whatever becomes of it, nothing of the rules of before is kept: they are about to go.
void Client::regrant() {
  leave_share();
  if (state_ != State::open) grant_ = policy::Grant();
  if (state_ == State::opening) {
    pool_->leave(lane_);
    return begin_open();
  }
  if (state_ != State::open) return;
  const auto grant = place_.owner.grant(peer_, *pool_);
  const bool ends = !grant || loses_events(grant.value());
  grant_ = ends ? policy::Grant() : grant.value();
  if (ends) {
    line(Level::info, "revoked")
        .with("target", pool_->target().name)
        .with("reason", grant ? std::string_view("it gets events that it may not have any more")
                              : std::string_view(grant.error()));
    return end_now();
  }
  if (grant_.rule() != nullptr) take_share(place_.owner.share(*grant_.rule(), peer_.uid));
  may_have_paid();
}

bool Client::loses_events(const policy::Grant& next) const {
  return lane_.subscriptions > 0 &&
         std::ranges::any_of(policy::event_calls(), [&](const policy::EventCall& call) {
           const policy::Procedure* row =
               policy::find_procedure(policy::kRemoteProgram, call.procedure);
           return call.adds && grant_.may(*row) && !next.may(*row);
         });
}

void Client::answer_feature(const Header& header, std::int64_t feature, base::Buffer encoded) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  if (feature == kFeatureKeepalive) {
    keepalive_ = place_.limits.keepalive_interval.count() > 0;
    writer.number(keepalive_ ? 1 : 0);
    arm();
    return reply(header, body);
  }
  if (state_ != State::open) return forward(header, {});
  if (feature == kFeatureEventCallback || feature == kFeatureCloseCallback) {
    writer.number(1);
    return reply(header, body);
  }
  if (feature == kFeatureFdPassing) {
    writer.number(0);
    return reply(header, body);
  }
  forward(header, std::move(encoded));
}

void Client::answer_event_call(const Header& header, const policy::Arguments& arguments) {
  if (state_ != State::open) return forward(header, {});
  const policy::EventCall* how = policy::find_event_call(header.procedure);
  const auto id = arguments.count > 0 ? static_cast<std::int32_t>(arguments[0].number) : 0;
  Call call = make_call(header, {});
  call.deadline = pool_->deadline();
  if (how->adds && lane_.subscriptions >= place_.limits.registrations_per_client) {
    return refuse(header, Refusal::limit,
                  {ErrorCode::internal_error, ErrorDomain::rpc,
                   "this connection has as many event registrations as it may"});
  }
  taken();
  if (!how->adds) return pool_->events().unsubscribe(lane_, call, id);
  const base::Bytes object = arguments.count > 1 ? arguments[1].encoded : base::Bytes();
  pool_->events().subscribe(lane_, std::move(call), id, object);
}

void Client::answer_close(const Header& header) {
  reply(header, {});
  leave_when_done();
}

}  // namespace proxy
