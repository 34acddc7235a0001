#include "tunnel/io/clock.h"

#include <algorithm>
#include <typeinfo>

#include "base/check.h"

namespace tunnel::io {

Clock::~Clock() { CHECK(running_.empty()); }

std::optional<Milliseconds> Clock::next() const {
  if (running_.empty()) return std::nullopt;
  return running_.begin()->first.first;
}

void Clock::advance(Milliseconds to) {
  now_ = std::max(now_, to);
  const std::uint64_t last = sequence_;
  auto entry = running_.begin();
  while (entry != running_.end() && entry->first.first <= now_) {
    if (entry->first.second > last) {
      ++entry;
      continue;
    }
    Timer* timer = entry->second;
    running_.erase(entry);
    timer->running_ = false;
    // The timer may be destroyed by what it calls.
    const std::function<void()> fire = timer->fire_;
    if (watcher_ != nullptr) watcher_->begin_piece();
    fire();
    if (watcher_ != nullptr) watcher_->end_piece(fire.target_type().name());
    entry = running_.begin();
  }
}

void Timer::start(Milliseconds delay) {
  stop();
  due_ = {clock_.now() + delay, ++clock_.sequence_};
  running_ = true;
  clock_.running_.insert({due_, this});
}

void Timer::stop() {
  if (!running_) return;
  running_ = false;
  clock_.running_.erase({due_, this});
}

}  // namespace tunnel::io
