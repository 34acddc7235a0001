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
    heard = std::max(heard.value_or(Milliseconds(0)), upstream->last_answered());
  }
  return heard ? clock_.now() - *heard : Milliseconds(0);
}

// One that answered after the other should have. One that ends because the target leads elsewhere
// now says nothing of the daemon there.
bool Silence::answers_elsewhere(const Upstreams& upstreams, const Upstream& silent) const {
  const Milliseconds due = *silent.silence().asked_since + ping_time();
  return std::ranges::any_of(upstreams, [&](const auto& one) {
    return one.get() != &silent && one->established() && !one->finishing() &&
           one->last_answered() >= due;
  });
}

void Silence::learn(Upstream& upstream) {
  const Upstream::Load load = upstream.take_load();
  taken_ = std::max(taken_, load.taken);
  if (taken_ >= kUsuallyNever) few_ = false;
  // Where it has taken more, it was probably the network.
  if (load.revived >= taken_) note_full(load.revived);
}

void Silence::note_full(std::size_t calls) {
  // It is not what it was.
  if (calls < taken_) taken_ = 1;
  if (std::exchange(few_, true)) return;
  log_.line(Level::warning, "few-requests")
      .with("target", target_.name)
      .with("calls", static_cast<std::int64_t>(taken_));
}

bool Silence::is_unproven(const Upstreams& upstreams, Upstream& upstream) {
  learn(upstream);
  const Milliseconds silent = clock_.now() - upstream.last_answered();
  Upstream::Silence& known = upstream.silence();
  known.excused = upstream.has_wanted(full_at());
  const bool full = is_full(upstream);
  if (full || (silent >= quiet_time() && upstream.has_older_than(quiet_time()))) upstream.ping();
  if (!is_silent(upstream)) return false;
  if (!full && !std::exchange(known.logged, true)) {
    log_.line(Level::warning, "upstream-silent")
        .with("target", target_.name)
        .with("ms", silent.count())
        .with("in_flight", static_cast<std::int64_t>(upstream.in_flight()));
  }
  if (!answers_elsewhere(upstreams, upstream)) return true;
  if (!known.elsewhere_since) known.elsewhere_since = clock_.now();
  if (clock_.now() - *known.elsewhere_since >= straggler_time()) judge(upstream);
  return false;
}

// The daemon answers, and not here.
void Silence::judge(Upstream& upstream) {
  Upstream::Silence& known = upstream.silence();
  const std::size_t calls = upstream.in_flight();
  // What came sooner may have been on its way before the connection died.
  const bool lives = upstream.last_heard() >= *known.asked_since + ping_time() / 2;
  if (calls > 0 && (lives || (known.excused && calls > 1))) note_full(calls);
  using tunnel::io::Stage;
  if (calls > full_at()) {
    known.full = true;
    return upstream.close({Reason::Kind::timeout, Stage::established,
                           "the daemon does not read " + std::to_string(calls) +
                               " calls of a connection at once: raise its max_client_requests"});
  }
  if (lives || known.excused) return;
  const auto seconds = (clock_.now() - upstream.last_answered()).count() / 1000;
  upstream.close({Reason::Kind::timeout, Stage::established,
                  "nothing has been answered on this connection for " + std::to_string(seconds) +
                      " s, and the daemon answers on another"});
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
