#include "proxy/service/notify.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/text.h"

namespace proxy {

using tunnel::io::Milliseconds;

namespace {

std::string status_line(std::string_view status) {
  return "\nSTATUS=" + base::printable(status, 1024);
}

// systemd compares it with its own clock at the time of SIGHUP: see Type=notify-reload.
std::string monotonic_line() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t usec = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  return "\nMONOTONIC_USEC=" + std::to_string(usec);
}

constexpr std::size_t kMostQueued = std::size_t{64} * 1024;
constexpr std::chrono::milliseconds kLastWords{1000};

class NotifyPen final : public Pen<std::string> {
 public:
  Losses write(const std::string& text) override {
    sd_notify(0, text.c_str());
    return {};
  }
  // The manager's own time limits tell it.
  bool say_lost(std::uint64_t /*count*/) override { return true; }
};

}  // namespace

Notify::Notify(tunnel::io::Clock& clock)
    : writer_(std::make_unique<NotifyPen>(), kMostQueued), watchdog_(clock, [this] { feed(); }) {
  std::uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) <= 0) return;
  constexpr std::uint64_t kDay = 86'400'000'000;
  half_ = Milliseconds(static_cast<std::int64_t>(std::min(usec, kDay) / 2000));
  half_ = std::max(half_, Milliseconds(1));
  watchdog_.start(half_);
}

Notify::~Notify() { writer_.finish(kLastWords); }

void Notify::feed() {
  send("WATCHDOG=1");
  watchdog_.start(half_);
}

void Notify::ready(std::string_view status) {
  send("READY=1\nMAINPID=" + std::to_string(getpid()) + status_line(status));
}

void Notify::reloading() {
  send("RELOADING=1" + monotonic_line() + status_line("reads its configuration anew"));
}

void Notify::stopping(std::string_view status, Milliseconds limit) {
  send("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(limit.count() * 1000) +
       status_line(status));
}

void Notify::send(std::string text) {
  // No thread where there is nobody to hear it.
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return;
  const std::size_t cost = text.size();
  writer_.put(std::move(text), cost);
}

}  // namespace proxy
