#include "proxy/pools.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace proxy {
namespace {

constexpr Milliseconds kSweep{10000};

}  // namespace

Pools::Pools(tunnel::io::Clock& clock, Log& log, Sasl& sasl, const conf::Limits& limits,
             TunnelFactory tunnels)
    : clock_(clock),
      log_(log),
      sasl_(sasl),
      limits_(limits),
      tunnels_(std::move(tunnels)),
      forget_(clock, [this] { forget(); }),
      free_(clock, [this] { gone_.clear(); }) {}

void Pools::insert(const conf::Target& target, std::optional<uid_t> opener) {
  // Those of all hosts that clients have named are together, or their number would have no bound.
  TargetCounters& counters = counters_.target(opener ? Counters::kOpened : target.name);
  auto pool = std::make_unique<Pool>(clock_, log_, sasl_, target, limits_, tunnels_(target.tunnel),
                                     counters);
  const bool added =
      entries_.try_emplace(target.name, Entry{std::move(pool), opener, clock_.now()}).second;
  CHECK(added);
}

void Pools::add(const conf::Target& target) { insert(target, std::nullopt); }

Pool* Pools::find(std::string_view name) {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : found->second.pool.get();
}

std::size_t Pools::opened() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      entries_, [](const auto& entry) { return entry.second.opener.has_value(); }));
}

void Pools::describe(std::vector<TargetSnapshot>& to) const {
  for (const auto& [name, entry] : entries_) to.push_back(entry.pool->snapshot());
}

std::optional<std::string> Pools::open(const conf::Target& target, uid_t uid) {
  if (const auto found = entries_.find(target.name); found != entries_.end()) {
    found->second.last_used = clock_.now();
    return std::nullopt;
  }
  if (!make_room(uid)) {
    return "virtgate reaches as many hosts that clients have named as it may (" +
           std::to_string(limits_.open_targets) + ", and " +
           std::to_string(limits_.open_targets_per_user) + " for one user)";
  }
  insert(target, uid);
  if (!forget_.running()) forget_.start(kSweep);
  return std::nullopt;
}

// Somebody who is over their own limit takes the place of nobody else.
bool Pools::make_room(uid_t uid) {
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
  retire(oldest);
  return true;
}

void Pools::forget() {
  bool some = false;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto entry = it++;
    if (!entry->second.opener) continue;
    if (entry->second.pool->used()) entry->second.last_used = clock_.now();
    if (clock_.now() - entry->second.last_used >= kForgotten) {
      retire(entry);
    } else {
      some = true;
    }
  }
  if (some) forget_.start(kSweep);
}

void Pools::retire(Entries::iterator entry) {
  const auto pool = retired_.insert(retired_.end(), std::move(entry->second.pool));
  entries_.erase(entry);
  (*pool)->close([this, pool] {
    gone_.splice(gone_.end(), retired_, pool);
    free_.start(Milliseconds(0));
    if (closed_) one_less();
  });
}

void Pools::close(std::function<void()> closed) {
  forget_.stop();
  closed_ = std::move(closed);
  closing_ = entries_.size() + retired_.size() + 1;
  for (const auto& [name, entry] : entries_) entry.pool->close([this] { one_less(); });
  one_less();
}

void Pools::one_less() {
  if (--closing_ == 0) std::exchange(closed_, nullptr)();
}

}  // namespace proxy
