#include "tunnel/io/turn_meter.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

#include <cxxabi.h>
#include <fcntl.h>
#include <unistd.h>

namespace tunnel::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

nanoseconds time_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

// "tunnel::io::SocketStream::received" of the name of the function that calls it, or of a type.
std::string readable(std::string_view name) {
  constexpr std::string_view kBefore = "member = ";
  if (const std::size_t at = name.find(kBefore); at != std::string_view::npos) {
    name.remove_prefix(at + kBefore.size());
    name = name.substr(0, name.find_first_of(";]"));
    return std::string(name.substr(name.starts_with('&') ? 1 : 0));
  }
  const std::string mangled(name);
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> plain(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 && plain != nullptr ? plain.get() : mangled;
}

}  // namespace

TurnMeter::TurnMeter(milliseconds most, Report report)
    : most_(most),
      report_(std::move(report)),
      schedule_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

// The second number of the file: see Documentation/scheduler/sched-stats.rst of Linux.
nanoseconds TurnMeter::queued() const {
  std::array<char, 128> text{};
  if (::pread(schedule_.get(), text.data(), text.size() - 1, 0) <= 0) return nanoseconds(0);
  char* rest = nullptr;
  std::strtoull(text.data(), &rest, 10);
  return nanoseconds(std::strtoull(rest, nullptr, 10));
}

TurnMeter::Times TurnMeter::times() const {
  return {time_of(CLOCK_MONOTONIC), time_of(CLOCK_THREAD_CPUTIME_ID), queued()};
}

void TurnMeter::next_turn() {
  const Times now = times();
  const Times before = std::exchange(began_, now);
  const nanoseconds woke = std::exchange(woke_, std::nullopt).value_or(now.now);
  const std::string_view longest = std::exchange(longest_, {});
  const nanoseconds took = std::exchange(longest_took_, nanoseconds(0));
  if (!std::exchange(running_, true)) return;
  const nanoseconds worked = now.worked - before.worked;
  nanoseconds waited = (now.now - woke) - worked - (now.queued - before.queued);
  if (!schedule_.ok()) waited = nanoseconds(0);
  if (worked <= most_ && waited <= most_) return;
  const auto whole = [](nanoseconds time) { return std::chrono::floor<milliseconds>(time); };
  report_({whole(worked), whole(std::max(nanoseconds(0), waited)), readable(longest), whole(took)});
}

void TurnMeter::begin_piece() {
  piece_began_ = time_of(CLOCK_MONOTONIC);
  if (!woke_) woke_ = piece_began_;
}

void TurnMeter::end_piece(std::string_view name) {
  const nanoseconds took = time_of(CLOCK_MONOTONIC) - piece_began_;
  if (took <= longest_took_) return;
  longest_took_ = took;
  longest_ = name;
}

}  // namespace tunnel::io
