#include "proxy/upstream/silence.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace proxy {
namespace {

using tunnel::io::Reason;

}  // namespace

// With deadlines shorter than usual all of this is faster.
Milliseconds Silence::quiet_time() const {
  return std::clamp(target_.call_timeout / 10, Milliseconds(500), Milliseconds(3000));
}

// For the answer to a ping.
Milliseconds Silence::ping_time() const {
  return std::clamp(target_.call_timeout / 15, Milliseconds(500), Milliseconds(2000));
}

// A daemon that has just come back answers here and there in any order.
Milliseconds Silence::straggler_time() const {
  return std::clamp(target_.call_timeout / 30, Milliseconds(250), Milliseconds(1000));
}

bool Silence::is_silent(const Upstream& upstream) const {
  const auto& asked = upstream.silence().asked_since;
  return upstream.established() && asked && clock_.now() - *asked >= ping_time();
}

Milliseconds Silence::silent_for(const Upstreams& upstreams) const {
  std::optional<Milliseconds> heard;
  for (const auto& upstream : upstreams) {
    if (!upstream->ready()) continue;
    if (!is_silent(*upstream)) return Milliseconds(0);
    heard = std::max(heard.value_or(Milliseconds(0)), upstream->last_heard());
  }
  return heard ? clock_.now() - *heard : Milliseconds(0);
}

// One heard after the other should have answered. One that ends because the target leads elsewhere
// now says nothing of the daemon there.
bool Silence::answers_elsewhere(const Upstreams& upstreams, const Upstream& silent) const {
  const Milliseconds due = *silent.silence().asked_since + ping_time();
  return std::ranges::any_of(upstreams, [&](const auto& one) {
    return one.get() != &silent && one->established() && !one->finishing() &&
           one->last_heard() >= due;
  });
}

void Silence::learn(Upstream& upstream) {
  const Upstream::Load load = upstream.take_load();
  if (load.revived > 0 && load.revived < full_at_) {
    full_at_ = load.revived;
    log_.line(Level::warning, "few-requests")
        .with("target", target_.name)
        .with("calls", static_cast<std::int64_t>(full_at_));
  }
  if (load.pinged >= full_at_) full_at_ = load.pinged + 1;
}

bool Silence::is_unproven(const Upstreams& upstreams, Upstream& upstream) {
  learn(upstream);
  const Milliseconds silent = clock_.now() - upstream.last_heard();
  upstream.silence().excused = upstream.has_wanted(full_at_);
  if (silent >= quiet_time() && upstream.has_older_than(quiet_time())) upstream.ping();
  if (!is_silent(upstream)) return false;
  Upstream::Silence& known = upstream.silence();
  if (!std::exchange(known.logged, true)) {
    log_.line(Level::warning, "upstream-silent")
        .with("target", target_.name)
        .with("ms", silent.count())
        .with("in_flight", static_cast<std::int64_t>(upstream.in_flight()));
  }
  if (!answers_elsewhere(upstreams, upstream)) return true;
  if (!known.elsewhere_since) known.elsewhere_since = clock_.now();
  if (!known.excused && clock_.now() - *known.elsewhere_since >= straggler_time()) {
    upstream.close({Reason::Kind::timeout, tunnel::io::Stage::established,
                    "nothing has come on this connection for " +
                        std::to_string(silent.count() / 1000) +
                        " s, and the daemon answers on another"});
  }
  return false;
}

bool Silence::look(const Upstreams& upstreams) {
  bool unproven = false;
  for (const auto& upstream : upstreams) {
    if (!upstream->established() || upstream->outdated()) continue;
    if (is_unproven(upstreams, *upstream)) unproven = true;
  }
  if (!unproven) return false;
  bool another = false;
  for (const auto& upstream : upstreams) {
    if (!upstream->ready() || is_silent(*upstream)) continue;
    another = true;
    upstream->ping();
  }
  return !another;
}

}  // namespace proxy
