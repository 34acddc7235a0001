#include "proxy/gate.h"

#include <utility>

#include "base/check.h"

namespace proxy {

using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

// Newcomers beyond the limit that are told so at a time; with more, somebody is at it with a loop,
// and they are closed without a word.
constexpr std::uint32_t kTurnedAwayAtOnce = 64;

}  // namespace

Gate::Gate(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
           conf::LibvirtConf libvirt_conf, const TunnelFactory& tunnels)
    : clock_(clock),
      log_(log),
      config_(std::move(config)),
      libvirt_conf_(std::move(libvirt_conf)),
      cut_off_(clock,
               [this] {
                 for (const auto& [number, client] : clients_) {
                   client->close({Reason::Kind::timeout, Stage::established,
                                  "its calls were not answered before the gate had to stop"});
                 }
               }),
      finish_(clock, [this] { close_pools(); }) {
  for (const conf::Target& target : config_.targets) {
    pools_.emplace(target.name, std::make_unique<Pool>(clock_, log_, sasl, target, config_.limits,
                                                       tunnels(target.tunnel)));
  }
}

Gate::~Gate() { CHECK(clients_.empty()); }

std::optional<std::string> Gate::too_many(const User& user) const {
  if (clients_.size() >= config_.limits.clients) {
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
  User& user = users_.arrive(peer.uid);
  const std::optional<std::string> refusal = too_many(user);
  const std::int64_t number = next_client_++;
  auto client = std::make_unique<Client>(Client::Place{clock_, log_, config_.limits, *this}, number,
                                         std::move(stream), std::move(peer),
                                         config_.listen[listener], user, std::move(guest));
  Client& added = *clients_.emplace(number, std::move(client)).first->second;
  added.start();
  if (!refusal) return;
  if (clients_.size() > config_.limits.clients + kTurnedAwayAtOnce ||
      user.clients > config_.limits.clients_per_user + kTurnedAwayAtOnce) {
    return added.close({Reason::Kind::refused, Stage::connect, *refusal});
  }
  added.turn_away(*refusal);
}

base::Result<conf::Meaning, std::string> Gate::resolve(const conf::Listen& listen,
                                                       std::optional<std::string_view> name) {
  return conf::meaning_of(name, config_, listen, libvirt_conf_);
}

Pool* Gate::pool(const std::string& target) {
  const auto found = pools_.find(target);
  return found == pools_.end() ? nullptr : found->second.get();
}

void Gate::on_client_gone(Client& client) {
  User& user = client.user();
  const ClientEnd end = client.end();
  const std::function<void(const ClientEnd&)> gone = client.guest().gone;
  clients_.erase(client.number());
  users_.leave(user);
  if (draining_ && clients_.empty() && !closing_pools_) finish_.start(Milliseconds(0));
  if (gone) gone(end);
}

void Gate::drain(std::function<void()> done) {
  CHECK(!draining_);
  draining_ = true;
  done_ = std::move(done);
  log_.line(Level::info, "drain").with("clients", static_cast<std::int64_t>(clients_.size()));
  cut_off_.start(config_.limits.drain_timeout);
  for (const auto& [number, client] : clients_) client->drain("the gate stops");
  if (clients_.empty()) finish_.start(Milliseconds(0));
}

void Gate::close_pools() {
  closing_pools_ = true;
  cut_off_.stop();
  open_pools_ = pools_.size() + 1;
  const auto one_less = [this] {
    if (--open_pools_ == 0) done_();
  };
  for (const auto& [name, pool] : pools_) pool->close(one_less);
  one_less();
}

}  // namespace proxy
