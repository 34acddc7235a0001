#include "proxy/gate.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "conf/open_uri.h"
#include "conf/text.h"
#include "proxy/xen_proxy_stream.h"

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
constexpr const char* kStops = "the gate stops";

base::Failure<Fault> unknown(std::string text) {
  return {Fault{ErrorCode::no_connect, ErrorDomain::rpc, std::move(text), true}};
}

base::Failure<Fault> denied(std::string text) {
  return {Fault{ErrorCode::operation_denied, ErrorDomain::rpc, std::move(text)}};
}

}  // namespace

Gate::Gate(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
           conf::LibvirtConf libvirt_conf, const TunnelFactory& tunnels)
    : clock_(clock),
      log_(log),
      tunnels_(tunnels),
      config_(std::move(config)),
      libvirt_conf_(std::move(libvirt_conf)),
      pools_(clock, log, sasl, counters_, config_.limits, tunnels),
      access_(std::make_unique<const policy::Access>(config_.rules)),
      retired_xends_(clock),
      users_(clock, Client::look_again),
      began_(clock.now()),
      cut_off_(clock,
               [this] {
                 const Reason reason{Reason::Kind::timeout, Stage::established,
                                     "its calls were not answered before the gate had to stop"};
                 for (const auto& [number, client] : clients_) client->close(reason);
                 for (const auto& [number, session] : sessions_) session->close(reason);
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

void Gate::reload_xends() {
  auto before = std::exchange(xends_, {});
  for (const conf::Target& target : config_.targets) {
    if (target.protocol != conf::Protocol::xend) continue;
    const auto old = before.find(target.name);
    if (old != before.end() && conf::same_but_for_place(old->second->target(), target)) {
      xends_.insert(before.extract(old));
      continue;
    }
    xends_.emplace(target.name, std::make_unique<XendPool>(clock_, target, tunnels_(target.tunnel),
                                                           counters_.target(target.name)));
  }
  for (auto& [name, pool] : before) old_xends_.push_back(std::move(pool));
  let_old_xends_go();
}

void Gate::let_old_xends_go() {
  for (auto it = old_xends_.begin(); it != old_xends_.end();) {
    const auto uses = [&](const auto& entry) { return &entry.second->pool() == it->get(); };
    if (std::ranges::any_of(sessions_, uses)) {
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
  const Shares old_shares = std::exchange(shares_, Shares());
  reload_pools();
  std::vector<Client*> clients;
  clients.reserve(clients_.size());
  for (const auto& [number, client] : clients_) clients.push_back(client.get());
  for (Client* client : clients) client->regrant();
  for (const auto& [number, session] : sessions_) regrant(*session);
  let_old_xends_go();
}

// Whoever has asked was let ask.
void Gate::regrant(XendSession& session) {
  if (session.asked()) return;
  const std::string& name = session.pool().target().name;
  const auto xend = xends_.find(name);
  if (xend == xends_.end()) {
    return session.forbid("there is no xend " + conf::quoted(name) + " any more");
  }
  session.move_to(*xend->second);
  if (const auto why = forbidden(session.peer(), xend->second->target())) session.forbid(*why);
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

std::optional<std::string> Gate::too_many(const User& user) const {
  if (clients() >= config_.limits.clients) {
    return "virtgate serves as many clients as it may (" + std::to_string(config_.limits.clients) +
           ")";
  }
  if (user.clients > config_.limits.clients_per_user) {
    return "user " + std::to_string(user.uid) + " has as many clients at virtgate as it may (" +
           std::to_string(config_.limits.clients_per_user) + ")";
  }
  return std::nullopt;
}

void Gate::accept(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer,
                  std::size_t listener, Guest guest) {
  CHECK(listener < config_.listen.size() && !draining_);
  const conf::Listen& listen = config_.listen[listener];
  User& user = users_.arrive(peer.uid);
  const std::optional<std::string> refusal = too_many(user);
  const std::int64_t number = next_client_++;
  ++counters_.accepted;
  const auto xend = xends_.find(listen.target);
  if (xend != xends_.end()) {
    auto session = std::make_unique<XendSession>(
        XendSession::Place{clock_, log_, config_.limits, counters_, *this}, number,
        std::move(stream), peer, user, *xend->second, std::move(guest));
    XendSession& added = *sessions_.emplace(number, std::move(session)).first->second;
    admit(added, user, refusal);
    if (const auto why = forbidden(peer, xend->second->target()); why && !refusal) {
      added.forbid(*why);
    }
    return;
  }
  if (listen.xen_proxy) {
    const bool i386 = *listen.xen_proxy == conf::XenAbi::i386;
    stream = std::make_unique<XenProxyStream>(clock_, std::move(stream),
                                              i386 ? policy::XenAbi::i386 : policy::XenAbi::x86_64);
  }
  auto client = std::make_unique<Client>(
      Client::Place{clock_, log_, config_.limits, counters_, *this}, number, std::move(stream),
      std::move(peer), listen, user, std::move(guest));
  admit(*clients_.emplace(number, std::move(client)).first->second, user, refusal);
}

template <typename Visitor>
void Gate::admit(Visitor& visitor, const User& user, const std::optional<std::string>& refusal) {
  visitor.start();
  if (!refusal) return;
  ++counters_.turned_away;
  if (clients() > config_.limits.clients + kTurnedAwayAtOnce ||
      user.clients > config_.limits.clients_per_user + kTurnedAwayAtOnce) {
    return visitor.close({Reason::Kind::refused, Stage::connect, *refusal});
  }
  visitor.turn_away(*refusal);
}

base::Result<std::vector<Candidate>, Fault> Gate::resolve(const conf::Listen& listen,
                                                          const tunnel::io::Peer& peer,
                                                          std::optional<std::string_view> name) {
  const policy::Identity who{peer.uid, peer.gid, peer.groups};
  const auto sees = [&](const conf::Target& target) {
    return access_->grant(who, target.name).ok();
  };
  auto meaning = conf::meaning_of(name, config_, listen, libvirt_conf_, sees);
  if (!meaning) {
    return unknown(meaning.error());
  }
  if (meaning->opened) return resolve_opened(*meaning->opened, who);
  std::vector<Candidate> candidates;
  std::string refusal;
  for (std::string& target : meaning->targets) {
    auto grant = access_->grant(who, target);
    if (grant) {
      candidates.push_back({std::move(target), grant.value()});
    } else if (refusal.empty()) {
      refusal = grant.error();
    }
  }
  if (candidates.empty()) {
    return denied(std::move(refusal));
  }
  return candidates;
}

base::Result<std::vector<Candidate>, Fault> Gate::resolve_opened(const conf::OpenedUri& uri,
                                                                 const policy::Identity& who) {
  const auto target = opened_target(uri);
  if (!target) return base::Failure{target.error()};
  auto grant = access_->grant(who, {uri.text, &uri.parts});
  if (!grant) return denied(grant.error());
  if (auto full = pools_.open(*target, uri.parts, who.uid)) return denied(std::move(*full));
  return std::vector<Candidate>{{uri.text, grant.value()}};
}

base::Result<conf::Target, Fault> Gate::opened_target(const conf::OpenedUri& uri) const {
  const policy::OpenUri* open = access_->opens(uri.parts);
  if (open == nullptr) {
    return unknown(conf::quoted(uri.text) +
                   " is the URI of no target, nor one that clients may name");
  }
  auto target = conf::opened_target(uri, *open, conf::process_environment());
  if (!target) return unknown(conf::quoted(uri.text) + ": " + target.error());
  return std::move(target).value();
}

// What a xend tells of a domain is what its XML tells.
std::optional<std::string> Gate::forbidden(const tunnel::io::Peer& peer,
                                           const conf::Target& xend) const {
  const auto grant = access_->grant({peer.uid, peer.gid, peer.groups}, xend.name);
  if (!grant) return grant.error();
  if (grant.value().may(policy::find_procedure(policy::Remote::DOMAIN_GET_XML_DESC))) {
    return std::nullopt;
  }
  return grant.value().because() + " does not let user " + std::to_string(peer.uid) +
         " call DOMAIN_GET_XML_DESC of target '" + xend.name + "', which reading from a xend is";
}

Share& Gate::share(const policy::AccessRule& rule, uid_t uid) {
  return shares_.take(rule, uid, clock_.now());
}

Pool* Gate::pool(const std::string& target) { return pools_.find(target); }

void Gate::on_client_gone(Client& client) {
  User& user = client.user();
  const ClientEnd end = client.end();
  const std::function<void(const ClientEnd&)> gone = client.guest().gone;
  clients_.erase(client.number());
  left(user);
  if (gone) gone(end);
}

void Gate::on_session_gone(XendSession& session) {
  User& user = session.user();
  const ClientEnd end = session.end();
  const std::function<void(const ClientEnd&)> gone = session.guest().gone;
  sessions_.erase(session.number());
  let_old_xends_go();
  left(user);
  if (gone) gone(end);
}

void Gate::left(User& user) {
  users_.leave(user);
  if (draining_ && clients() == 0 && !closing_pools_) finish_.start(Milliseconds(0));
}

void Gate::drain(std::function<void()> done) {
  CHECK(!draining_);
  draining_ = true;
  done_ = std::move(done);
  log_.line(Level::info, "drain").with("clients", static_cast<std::int64_t>(clients()));
  cut_off_.start(config_.limits.drain_timeout);
  for (const auto& [number, client] : clients_) client->drain(kStops);
  for (const auto& [number, session] : sessions_) session->drain(kStops);
  if (clients() == 0) finish_.start(Milliseconds(0));
}

void Gate::close_pools() {
  closing_pools_ = true;
  cut_off_.stop();
  for (auto& [name, xend] : xends_) old_xends_.push_back(std::move(xend));
  xends_.clear();
  let_old_xends_go();
  pools_.close([this] { retired_xends_.when_empty(std::exchange(done_, nullptr)); });
}

}  // namespace proxy
