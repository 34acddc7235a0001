#include "proxy/gate/gate.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "base/check.h"
#include "conf/open_uri.h"
#include "conf/text.h"
#include "proxy/client/xen_proxy_stream.h"

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

// Newcomers beyond the limit that are told so at a time; with more, somebody is at it with a loop,
// and they are closed without a word.
constexpr std::uint32_t kTurnedAwayAtOnce = 64;
constexpr std::size_t kSurveyedAtOnce = 100;
constexpr const char* kStops = "the gate stops";

// `text` is what there is to hear for those who may; whoever may not gets `plain`, and gets it of
// what does not exist and of what is hidden alike.
base::Failure<Fault> unknown(std::string text, std::string plain) {
  return {Fault{ErrorCode::no_connect, ErrorDomain::rpc, std::move(text), true, std::move(plain)}};
}
base::Failure<Fault> unknown(const std::string& text) { return unknown(text, text); }

base::Failure<Fault> denied(std::string text) {
  return {Fault{ErrorCode::operation_denied, ErrorDomain::rpc, std::move(text)}};
}

std::string no_such_uri(const std::string& uri) {
  return "no target has the URI " + conf::quoted(uri) +
         ", and no pattern of open_uris lets it pass";
}

// Faults for which a client that may not hear `text` gets the same reference. What is hidden and
// what does not exist must differ in nothing, so that there only what the client is told counts.
std::string alike(const Fault& fault) {
  if (fault.code == ErrorCode::no_connect) return fault.plain;
  std::string both = fault.plain;
  both += '\n';
  both += fault.text;
  return both;
}

// The first `most` in an order; what is behind them is left out.
template <typename Item, typename Before>
void keep_first(std::vector<Item>& items, std::size_t most, Before before) {
  const auto end = items.begin() + static_cast<std::ptrdiff_t>(std::min(most, items.size()));
  std::partial_sort(items.begin(), end, items.end(), before);
  items.erase(end, items.end());
}

}  // namespace

Gate::Gate(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
           conf::LibvirtConf libvirt_conf, const TunnelFactory& tunnels)
    : clock_(clock),
      log_(log),
      tunnels_(tunnels),
      config_(std::move(config)),
      libvirt_conf_(std::move(libvirt_conf)),
      environment_(conf::process_environment()),
      pools_(clock, log, sasl, counters_, config_.limits, tunnels),
      access_(std::make_unique<const policy::Access>(config_.rules)),
      retired_xends_(clock),
      budget_(clock, config_.limits),
      turns_(clock),
      shares_(clock),
      crowds_(clock, log),
      began_(clock.now()),
      cut_off_(clock,
               [this] {
                 const Reason reason{Reason::Kind::timeout, Stage::established,
                                     "its calls were not answered before the gate had to stop"};
                 for (const auto& [number, visitor] : visitors_) visitor->close(reason);
               }),
      finish_(clock, [this] { close_pools(); }) {
  reload_pools();
}

void Gate::reload_pools() {
  pools_.reload(config_.targets, [this](const std::string& name, const policy::UriParts& parts) {
    const auto target = opened_target({name, parts});
    return target ? std::optional(*target) : std::nullopt;
  });
  reload_xends();
}

// One is made when somebody asks it for the first time.
void Gate::reload_xends() {
  xend_targets_.clear();
  for (const conf::TargetConfig& target : config_.targets) {
    if (target.protocol == conf::Protocol::xend) xend_targets_.emplace(target.name, &target);
  }
  for (auto it = xends_.begin(); it != xends_.end();) {
    const auto target = xend_targets_.find(it->first);
    if (target != xend_targets_.end() &&
        conf::same_but_for_position(it->second->target(), *target->second)) {
      ++it;
      continue;
    }
    old_xends_.push_back(std::move(it->second));
    it = xends_.erase(it);
  }
  let_old_xends_go();
}

XendPool* Gate::xend_of(std::string_view name) {
  const auto target = xend_targets_.find(name);
  if (target == xend_targets_.end()) return nullptr;
  auto& xend = xends_[std::string(name)];
  if (xend == nullptr) {
    const conf::TargetConfig& is = *target->second;
    xend = std::make_unique<XendPool>(clock_, is, tunnels_(is.tunnel), counters_.target(is.name));
  }
  return xend.get();
}

void Gate::let_old_xends_go() {
  for (auto it = old_xends_.begin(); it != old_xends_.end();) {
    if ((*it)->used()) {
      ++it;
      continue;
    }
    retired_xends_.add(std::move(*it));
    it = old_xends_.erase(it);
  }
}

void Gate::reload(conf::Config config, conf::LibvirtConf libvirt_conf) {
  CHECK(!draining_);
  config_ = std::move(config);
  libvirt_conf_ = std::move(libvirt_conf);
  // Grants and shares are of the rules that they were taken from, which live until nobody has any.
  const auto old_access =
      std::exchange(access_, std::make_unique<const policy::Access>(config_.rules));
  const Shares old_shares = std::exchange(shares_, Shares(clock_));
  reload_pools();
  for (const auto& [number, visitor] : visitors_) visitor->regrant();
  let_old_xends_go();
}

base::Result<XendPool*, Fault> Gate::xend(const tunnel::io::Peer& peer, const std::string& name) {
  XendPool* xend = xend_of(name);
  if (xend == nullptr) {
    return base::Failure{unknown("there is no xend " + conf::quoted(name) + " any more").error};
  }
  if (auto why = forbidden(peer, xend->target())) return base::Failure{*std::move(why)};
  return xend;
}

base::Result<policy::Grant, std::string> Gate::grant(const tunnel::io::Peer& peer,
                                                     const Pool& opened) {
  const std::string& name = opened.target().name;
  if (pools_.find(name) != &opened) {
    return base::Failure{"there is no target " + conf::quoted(name) + " any more"};
  }
  return access_->grant({peer.uid, peer.gid, peer.groups}, {name, pools_.opened(name)});
}

Gate::~Gate() { CHECK(clients() == 0); }

std::optional<std::string> Gate::too_many(uid_t uid) const {
  if (clients() >= config_.limits.clients) {
    return "virtgate already has its maximum of " + std::to_string(config_.limits.clients) +
           " clients (limits.clients)";
  }
  if (budget_.clients(uid) >= config_.limits.clients_per_user) {
    return "user " + std::to_string(uid) + " already has the maximum of " +
           std::to_string(config_.limits.clients_per_user) + " clients (limits.clients_per_user)";
  }
  return std::nullopt;
}

// As many as will at least be told that they are too many.
tunnel::io::Standing Gate::standing(uid_t uid) const {
  const uid_t user = identities_.counted_as(uid);
  const auto room = [](std::size_t most, std::size_t has) {
    most += kTurnedAwayAtOnce;
    return most - std::min(most, has);
  };
  return {user, std::min(room(config_.limits.clients, clients()),
                         room(config_.limits.clients_per_user, budget_.clients(user)))};
}

void Gate::count_turned_away(uid_t user) {
  ++counters_.accepted;
  ++counters_.turned_away;
  crowds_.add(user);
}

void Gate::accept(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer,
                  std::size_t listener, Guest guest, std::optional<std::string> refusal) {
  CHECK(listener < config_.listen.size() && !draining_);
  identities_.apply(peer);
  const uid_t uid = peer.uid;
  if (!refusal) refusal = too_many(uid);
  const std::int64_t number = next_visitor_++;
  ++counters_.accepted;
  auto made = make_visitor({number, std::move(stream), std::move(peer), std::move(guest)},
                           config_.listen[listener]);
  Visitor& visitor = *visitors_.emplace(number, std::move(made)).first->second;
  visitor.start();
  if (refusal) {
    return turn_away(visitor, uid, {ErrorCode::operation_denied, ErrorDomain::rpc, *refusal});
  }
  visitor.regrant();
}

std::unique_ptr<Visitor> Gate::make_visitor(Arrival arrival, const conf::Listen& listen) {
  const VisitorDeps deps{clock_, log_, config_.limits, counters_, budget_, turns_, *this};
  if (XendPool* xend = xend_of(listen.target)) {
    XendTargets& targets = *this;
    return std::make_unique<XendSession>(deps, targets, std::move(arrival), *xend);
  }
  if (listen.xen_proxy) {
    arrival.stream =
        std::make_unique<XenProxyStream>(clock_, std::move(arrival.stream), *listen.xen_proxy);
  }
  ClientTargets& targets = *this;
  return std::make_unique<Client>(deps, targets, std::move(arrival), listen);
}

void Gate::turn_away(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer, Fault why) {
  CHECK(!draining_);
  identities_.apply(peer);
  const uid_t uid = peer.uid;
  const std::int64_t number = next_visitor_++;
  ++counters_.accepted;
  const VisitorDeps deps{clock_, log_, config_.limits, counters_, budget_, turns_, *this};
  ClientTargets& targets = *this;
  auto made = std::make_unique<Client>(
      deps, targets, Arrival{number, std::move(stream), std::move(peer), Guest{}}, conf::Listen{});
  Visitor& visitor = *visitors_.emplace(number, std::move(made)).first->second;
  visitor.start();
  turn_away(visitor, uid, std::move(why));
}

void Gate::turn_away(Visitor& visitor, uid_t uid, Fault why) {
  ++counters_.turned_away;
  if (clients() > config_.limits.clients + kTurnedAwayAtOnce ||
      budget_.clients(uid) > config_.limits.clients_per_user + kTurnedAwayAtOnce) {
    return visitor.close({Reason::Kind::refused, Stage::connect, why.text});
  }
  visitor.turn_away(std::move(why));
}

base::Result<std::vector<Candidate>, Fault> Gate::resolve(const conf::Listen& listen,
                                                          const tunnel::io::Peer& peer,
                                                          std::optional<std::string_view> name) {
  const policy::Identity who{peer.uid, peer.gid, peer.groups};
  const auto sees = [&](const conf::TargetConfig& target) {
    return access_->grant(who, target.name).ok();
  };
  auto meaning = conf::meaning_of(name, config_, listen, libvirt_conf_, sees);
  if (!meaning)
    return unknown(why_hidden(listen, who, name).value_or(meaning.error()), meaning.error());
  if (meaning->opened) return resolve_opened(*meaning->opened, who);
  std::vector<Candidate> candidates;
  for (std::string& target : meaning->targets) {
    auto grant = access_->grant(who, target);
    if (grant) candidates.push_back({std::move(target), grant.value()});
  }
  if (candidates.empty()) return unknown("there is no target");
  return candidates;
}

// Nothing: that name would mean nothing either if everything were shown.
std::optional<std::string> Gate::why_hidden(const conf::Listen& listen, const policy::Identity& who,
                                            std::optional<std::string_view> name) const {
  const auto meaning = conf::meaning_of(name, config_, listen, libvirt_conf_,
                                        [](const conf::TargetConfig&) { return true; });
  if (!meaning || meaning->targets.empty()) return std::nullopt;
  const auto grant = access_->grant(who, meaning->targets.front());
  if (grant) return std::nullopt;
  return grant.error();
}

bool Gate::is_insider(const tunnel::io::Peer& peer) const {
  if (trusts_nobody_) return false;
  const uid_t uid = peer.subordinate.value_or(peer.uid);
  if (uid == 0 || uid == ::geteuid()) return true;
  return config_.control.group && peer.in_group(*config_.control.group);
}

Told Gate::tell(const tunnel::io::Peer& peer, const Fault& fault) {
  if (fault.plain.empty() || is_insider(peer)) return {fault, {}};
  Told told{fault, references_.refer(peer.uid, alike(fault), fault.text, clock_.now())};
  // It is not the client's login that failed, and some clients would ask for a password.
  if (fault.code == ErrorCode::auth_failed) told.fault.code = ErrorCode::system_error;
  told.fault.text = fault.plain + "; ask your administrator (reference " + told.reference + ")";
  return told;
}

base::Result<std::vector<Candidate>, Fault> Gate::resolve_opened(const conf::OpenedUri& uri,
                                                                 const policy::Identity& who) {
  const auto target = opened_target(uri);
  if (!target) return base::Failure{target.error()};
  auto grant = access_->grant(who, {uri.text, &uri.parts});
  if (!grant) return unknown(grant.error(), no_such_uri(uri.text));
  if (auto full = pools_.open(*target, uri.parts, who.uid)) return denied(std::move(*full));
  return std::vector<Candidate>{{uri.text, grant.value()}};
}

base::Result<conf::TargetConfig, Fault> Gate::opened_target(const conf::OpenedUri& uri) const {
  const policy::OpenUri* open = access_->opens(uri.parts);
  if (open == nullptr) {
    return unknown(no_such_uri(uri.text));
  }
  auto target = conf::opened_target(uri, *open, environment_);
  if (!target) return unknown(conf::quoted(uri.text) + ": " + target.error());
  return std::move(target).value();
}

// What a xend tells of a domain is what its XML tells.
std::optional<Fault> Gate::forbidden(const tunnel::io::Peer& peer,
                                     const conf::TargetConfig& xend) const {
  Fault fault;
  fault.plain = "you may not read this";
  const auto grant = access_->grant({peer.uid, peer.gid, peer.groups}, xend.name);
  if (!grant) {
    fault.text = grant.error();
    return fault;
  }
  if (grant.value().may(policy::find_procedure(policy::Remote::DOMAIN_GET_XML_DESC))) {
    return std::nullopt;
  }
  fault.text = grant.value().because() + " does not let user " + std::to_string(peer.uid) +
               " call DOMAIN_GET_XML_DESC of target '" + xend.name +
               "', which reading from a xend is";
  return fault;
}

Share& Gate::share(const policy::AccessRule& rule, uid_t uid) { return shares_.take(rule, uid); }

Pool* Gate::pool(const std::string& target) { return pools_.find(target); }

void Gate::on_visitor_gone(Visitor& visitor) {
  std::function<void()> tell;
  if (visitor.guest().gone)
    tell = [gone = visitor.guest().gone, end = visitor.end()] { gone(end); };
  visitors_.erase(visitor.number());
  let_old_xends_go();
  if (draining_ && clients() == 0 && !closing_pools_) finish_.start(Milliseconds(0));
  if (tell) tell();
}

void Gate::drain(std::function<void()> done) {
  CHECK(!draining_);
  draining_ = true;
  done_ = std::move(done);
  log_.line(Level::info, "drain").with("clients", static_cast<std::int64_t>(clients()));
  cut_off_.start(config_.limits.drain_timeout);
  for (const auto& [number, visitor] : visitors_) visitor->drain(kStops);
  if (clients() == 0) finish_.start(Milliseconds(0));
}

void Gate::close_pools() {
  closing_pools_ = true;
  cut_off_.stop();
  for (auto& [name, xend] : xends_) old_xends_.push_back(std::move(xend));
  xends_.clear();
  xend_targets_.clear();
  let_old_xends_go();
  pools_.close([this] { retired_xends_.when_empty(std::exchange(done_, nullptr)); });
}

void Gate::describe_users(Snapshot& to) const {
  to.users = budget_.users();
  to.buffer = budget_.buffer();
  for (const UserSnapshot& user : to.users) to.buffered += user.buffered;
  to.user_count = to.users.size();
  keep_first(to.users, Snapshot::kMostUsers, [](const UserSnapshot& a, const UserSnapshot& b) {
    return a.clients != b.clients ? a.clients > b.clients : a.uid < b.uid;
  });
}

void Gate::describe_clients(Snapshot& to) const {
  std::vector<const Visitor*> busiest;
  busiest.reserve(visitors_.size());
  for (const auto& [number, visitor] : visitors_) busiest.push_back(visitor.get());
  keep_first(busiest, Snapshot::kMostClients, [](const Visitor* a, const Visitor* b) {
    return a->calls() != b->calls() ? a->calls() > b->calls() : a->number() < b->number();
  });
  for (const Visitor* visitor : busiest) to.clients.push_back(visitor->snapshot());
}

MemoryUse Gate::memory_use() const {
  MemoryUse out = budget_.memory_use();
  out.clients = clients();
  return out;
}

void Gate::describe_gate(Snapshot& to) const {
  to.version = VIRTGATE_VERSION;
  to.uptime_ms = milliseconds_since(began_, clock_.now());
  to.draining = draining_;
  for (const References::Entry& one : references_.entries()) {
    to.references.push_back(
        {one.reference, one.uid, one.text, one.times, milliseconds_since(one.last, clock_.now())});
  }
  to.client_count = clients();
  to.accepted = counters_.accepted;
  to.turned_away = counters_.turned_away;
  to.traffic = counters_.traffic;
  to.refusals = counters_.refusals;
  describe_users(to);
  describe_clients(to);
}

bool Gate::describe_xends(std::string& after, std::size_t most,
                          std::vector<TargetSnapshot>& to) const {
  auto next = xend_targets_.upper_bound(after);
  for (; most > 0 && next != xend_targets_.end(); --most, ++next) {
    const auto made = xends_.find(next->first);
    to.push_back(made == xends_.end() ? idle_target(*next->second) : made->second->snapshot());
    after = next->first;
  }
  return next == xend_targets_.end();
}

bool Gate::survey(Survey& so_far) const {
  using Part = Survey::Part;
  Snapshot& to = so_far.found;
  bool through = false;
  Part next = Part::rest;
  switch (so_far.part) {
    case Part::counters:
      through = counters_.copy(so_far.after, kSurveyedAtOnce, to.counters);
      next = Part::targets;
      break;
    case Part::targets:
      through = pools_.describe(so_far.after, kSurveyedAtOnce, to.targets);
      next = Part::xends;
      break;
    case Part::xends:
      through = describe_xends(so_far.after, kSurveyedAtOnce, to.targets);
      break;
    case Part::rest:
      describe_gate(to);
      return true;
  }
  if (through) {
    so_far.part = next;
    so_far.after.clear();
  }
  return false;
}

Snapshot Gate::snapshot() const {
  Survey survey;
  while (!this->survey(survey)) {
  }
  return std::move(survey.found);
}

}  // namespace proxy
