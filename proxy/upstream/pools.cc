#include "proxy/upstream/pools.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/check.h"

namespace proxy {
namespace {

constexpr Milliseconds kSweep{10000};
constexpr std::size_t kRenewedAtOnce = 100;
constexpr std::size_t kMadeAtOnce = 100;
constexpr std::size_t kRetiredAtOnce = 100;

}  // namespace

Pools::Pools(tunnel::io::Clock& clock, Log& log, Sasl& sasl, Counters& counters,
             const conf::Limits& limits, TunnelFactory tunnels)
    : clock_(clock),
      log_(log),
      sasl_(sasl),
      counters_(counters),
      limits_(limits),
      tunnels_(std::move(tunnels)),
      slabs_(clock),
      retired_(clock),
      forget_(clock, [this] { forget(); }),
      leave_(clock, [this] { let_leaving_go(); }),
      make_(clock, [this] { make_some(); }),
      renew_(clock, [this] { renew_some(); }) {}

void Pools::insert(const conf::TargetConfig& target, std::optional<uid_t> opener,
                   policy::UriParts parts) {
  // Those of all hosts that clients have named are together, or their number would have no bound.
  auto counters = counters_.target(opener ? Counters::kOpened : target.name);
  auto pool = std::make_unique<Pool>(clock_, log_, sasl_, pacer_, slabs_, target, limits_,
                                     tunnels_(target.tunnel), std::move(counters));
  const bool added =
      entries_
          .try_emplace(target.name, Entry{std::move(pool), opener, std::move(parts), clock_.now()})
          .second;
  CHECK(added);
}

// Whoever asks for one that has not been made or changed yet does not wait.
Pools::Entries::iterator Pools::entry_of(std::string_view name) {
  const auto coming = to_make_.find(name);
  if (coming == to_make_.end()) return entries_.find(name);
  const conf::TargetConfig& target = *coming->second;
  to_make_.erase(coming);
  const auto found = entries_.find(target.name);
  if (found == entries_.end()) {
    insert(target, std::nullopt, {});
    return entries_.find(target.name);
  }
  update(*found->second.pool, target);
  to_renew_.push_back(target.name);
  if (!renew_.running()) renew_.start(Milliseconds(0));
  return entries_.find(target.name);
}

void Pools::make_some() {
  for (std::size_t i = 0; i < kMadeAtOnce && !to_make_.empty(); ++i) {
    entry_of(to_make_.begin()->first);
  }
  if (!to_make_.empty()) make_.start(Milliseconds(0));
}

Pool* Pools::find(std::string_view name) {
  const auto found = entry_of(name);
  return found == entries_.end() ? nullptr : found->second.pool.get();
}

std::size_t Pools::opened() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      entries_, [](const auto& entry) { return entry.second.opener.has_value(); }));
}

// By name, so that one that is made between two parts is in one of them.
bool Pools::describe(std::string& after, std::size_t most, std::vector<TargetSnapshot>& to) const {
  auto made = entries_.upper_bound(after);
  auto coming = to_make_.upper_bound(after);
  for (; most > 0; --most) {
    if (made == entries_.end() && coming == to_make_.end()) return true;
    if (coming == to_make_.end() || (made != entries_.end() && made->first <= coming->first)) {
      to.push_back(made->second.pool->snapshot());
      after = made++->first;
      if (coming != to_make_.end() && coming->first == after) ++coming;
    } else {
      to.push_back(idle_target(*coming->second));
      after = coming++->first;
    }
  }
  return false;
}

std::optional<std::string> Pools::open(const conf::TargetConfig& target,
                                       const policy::UriParts& parts, uid_t uid) {
  if (const auto found = entry_of(target.name); found != entries_.end()) {
    found->second.last_used = clock_.now();
    update(*found->second.pool, target);
    return std::nullopt;
  }
  if (!make_room(uid)) {
    return "too many hosts named by clients are in use (limits.open_targets = " +
           std::to_string(limits_.open_targets) +
           ", limits.open_targets_per_user = " + std::to_string(limits_.open_targets_per_user) +
           ")";
  }
  insert(target, uid, parts);
  if (!forget_.running()) forget_.start(kSweep);
  return std::nullopt;
}

// Somebody who is over their own limit takes the place of nobody else.
bool Pools::make_room(uid_t uid) {
  pass_places_on();
  const auto count = static_cast<std::size_t>(std::ranges::count_if(
      entries_, [&](const auto& entry) { return entry.second.opener == uid; }));
  const bool own = count >= limits_.open_targets_per_user;
  if (!own && opened() < limits_.open_targets) return true;
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    const Entry& entry = it->second;
    if (!entry.opener || (own && *entry.opener != uid) || entry.pool->used()) continue;
    if (oldest == entries_.end() || entry.last_used < oldest->second.last_used) oldest = it;
  }
  if (oldest == entries_.end()) return false;
  remove(oldest);
  return true;
}

// To the user with the fewest, or one user could fill the places of all others.
void Pools::pass_places_on() {
  std::map<uid_t, std::size_t> places;
  std::vector<std::pair<Entry*, std::set<uid_t>>> left;
  for (auto& [name, entry] : entries_) {
    if (!entry.opener) continue;
    std::set<uid_t> users = entry.pool->uids();
    if (users.empty() || users.contains(*entry.opener)) {
      ++places[*entry.opener];
    } else {
      left.emplace_back(&entry, std::move(users));
    }
  }
  for (const auto& [entry, users] : left) {
    entry->opener = *std::ranges::min_element(users, {}, [&](uid_t uid) { return places[uid]; });
    ++places[*entry->opener];
  }
}

void Pools::forget() {
  let_leaving_go();
  bool some = !leaving_.empty();
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto entry = it++;
    if (!entry->second.opener) continue;
    if (entry->second.pool->used()) entry->second.last_used = clock_.now();
    if (clock_.now() - entry->second.last_used >= kForgotten) {
      remove(entry);
    } else {
      some = true;
    }
  }
  if (some) forget_.start(kSweep);
}

void Pools::remove(Entries::iterator entry) {
  leave(entry);
  let_leaving_go();
}

void Pools::leave(Entries::iterator entry) {
  leaving_.push_back(std::move(entry->second.pool));
  entries_.erase(entry);
}

void Pools::let_leaving_go() {
  std::size_t most = kRetiredAtOnce;
  for (auto it = leaving_.begin(); it != leaving_.end() && most > 0;) {
    if ((*it)->used()) {
      ++it;
      continue;
    }
    --most;
    retired_.add(std::move(*it));
    it = leaving_.erase(it);
  }
  if (most == 0) leave_.start(Milliseconds(0));
  if (!leaving_.empty() && !forget_.running()) forget_.start(kSweep);
}

void Pools::reload(const std::vector<conf::TargetConfig>& targets, const OpenedNow& opened_now) {
  std::map<std::string_view, const conf::TargetConfig*> named;
  for (const conf::TargetConfig& target : targets) {
    if (target.protocol == conf::Protocol::rpc) named.emplace(target.name, &target);
  }
  // Of the configuration before, which is gone.
  to_make_.clear();
  to_renew_.clear();
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto entry = it++;
    const auto& [name, is] = *entry;
    if (!is.opener) {
      if (!named.contains(name)) leave(entry);
      continue;
    }
    const auto opened = opened_now(name, is.parts);
    if (!opened) {
      leave(entry);
      continue;
    }
    named.erase(name);
    update(*is.pool, *opened);
    to_renew_.push_back(name);
  }
  to_make_ = std::move(named);
  make_some();
  let_leaving_go();
  for (const auto& pool : leaving_) {
    if (pool->used()) renew(*pool);
  }
  renew_some();
}

// What has gone meanwhile, or come anew, needs it no more.
void Pools::renew_some() {
  for (std::size_t i = 0; i < kRenewedAtOnce && !to_renew_.empty(); ++i) {
    const auto entry = entries_.find(to_renew_.back());
    to_renew_.pop_back();
    if (entry != entries_.end()) renew(*entry->second.pool);
  }
  if (!to_renew_.empty()) renew_.start(Milliseconds(0));
}

void Pools::update(Pool& pool, const conf::TargetConfig& target) {
  if (conf::same_but_for_position(pool.target(), target)) return;
  pool.retarget(target, tunnels_(target.tunnel));
}

void Pools::renew(Pool& pool) {
  pool.ask_outdated([this, &pool] {
    if (!is_in_use(pool)) return;
    log_.line(Level::info, "credentials-changed").with("target", pool.target().name);
    pool.retarget(pool.target(), tunnels_(pool.target().tunnel));
  });
}

bool Pools::is_in_use(const Pool& pool) {
  return find(pool.target().name) == &pool ||
         std::ranges::any_of(leaving_, [&](const auto& one) { return one.get() == &pool; });
}

const policy::UriParts* Pools::opened(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() || !found->second.opener ? nullptr : &found->second.parts;
}

void Pools::close(std::function<void()> closed) {
  while (!entries_.empty()) leave(entries_.begin());
  for (auto& pool : std::exchange(leaving_, {})) retired_.add(std::move(pool));
  to_make_.clear();
  make_.stop();
  leave_.stop();
  forget_.stop();
  renew_.stop();
  retired_.when_empty(std::move(closed));
}

}  // namespace proxy
