#include "proxy/upstream/retries.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>

#include "base/fd.h"

namespace proxy {
namespace {

using tunnel::io::Reason;

constexpr Milliseconds kFirstRetry{50};
constexpr Milliseconds kLongestRetry{2000};
constexpr Milliseconds kLongestRetryWhenRefused{30000};
// What this host lacks it may have again at any moment.
constexpr Milliseconds kShortageRetry{100};
constexpr Milliseconds kRelapseForgotten{10000};
constexpr Milliseconds kColdForgotten{10000};

// The other side ended it while it was opened, and said nothing against us.
bool is_cut(const Reason& reason) {
  if (reason.kind == Reason::Kind::end) return true;
  if (reason.kind != Reason::Kind::system) return false;
  // The last are the words of OpenSSH's client.
  for (const std::string& words : {base::system_words(ECONNRESET), base::system_words(EPIPE),
                                   std::string("Connection closed by ")}) {
    if (reason.text.find(words) != std::string::npos) return true;
  }
  return false;
}

// splitmix64
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace

Retries::Retries(std::string_view target) : spread_(std::hash<std::string_view>()(target)) {}

// From three quarters of what it would be to five.
Milliseconds Retries::pause(Milliseconds first, Milliseconds longest, std::uint32_t times,
                            Milliseconds now) const {
  const Milliseconds whole = std::min(longest, first * (1U << std::min(times, 10U)));
  const std::uint64_t any = mixed(spread_ ^ mixed(static_cast<std::uint64_t>(now.count()) + times));
  return whole * 3 / 4 + whole / 2 * static_cast<std::int64_t>(any % 1000) / 1000;
}

void Retries::opened() {
  failures_ = 0;
  refused_ = false;
  cold_since_.reset();
}

void Retries::forget() {
  opened();
  relapses_ = 0;
}

void Retries::begin_cold(Milliseconds now) {
  cold_since_ = now;
  failures_ = 0;
}

bool Retries::is_patient(Milliseconds now) const {
  if (now < patience_end_) return true;
  if (!cold_since_ || now - *cold_since_ >= kLongestCold) return false;
  return now - *cold_since_ < kColdPatience || failures_ < kColdAttempts;
}

Retries::Next Retries::failed(const Reason& reason, Milliseconds now) {
  if (reason.kind == Reason::Kind::exhausted) {
    // It says nothing about the target.
    refused_ = false;
    return {kShortageRetry, !is_patient(now)};
  }
  refused_ = reason.kind == Reason::Kind::refused;
  const bool long_ago = !failed_at_ || now - *failed_at_ >= kColdForgotten;
  failed_at_ = now;
  if (!is_cut(reason)) {
    cold_since_.reset();
  } else if (long_ago && now >= patience_end_) {
    begin_cold(now);
  }
  const Milliseconds longest = refused_ ? kLongestRetryWhenRefused : kLongestRetry;
  const Milliseconds first = refused_ ? 20 * kFirstRetry : kFirstRetry;
  Next next;
  next.pause = pause(first, longest, failures_, now);
  ++failures_;
  next.told = refused_ || !is_patient(now);
  return next;
}

// A daemon that lets us in only to break the rules or to hang up would be dialled as fast as it
// does so. The first time is free, for a daemon that was started again.
Milliseconds Retries::relapsed(Milliseconds ready_since, Milliseconds now) {
  // Upstreams that a daemon takes along when it ends are one loss.
  if (ready_since < relapses_until_ - kRelapseForgotten) return Milliseconds(0);
  relapses_ = now < relapses_until_ ? relapses_ + 1 : 0;
  relapses_until_ = now + kRelapseForgotten;
  return relapses_ == 0 ? Milliseconds(0) : pause(kFirstRetry, kLongestRetry, relapses_, now);
}

}  // namespace proxy
