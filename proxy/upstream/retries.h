// When a target that could not be reached, or was lost, is dialled again, and until when the
// failure is kept from whoever waits for it. An engine without I/O.
//
// A target that was open has the patience of its `retry_timeout`. One that was not has a short one
// for what ends before it is open without a word of refusal: a daemon that is being started, or an
// sshd that has too many logins under way. Pauses grow, and differ between targets that began
// together.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace proxy {

using tunnel::io::Milliseconds;

class Retries {
 public:
  // Of what is cut off while it is opened: so long and so many attempts at least, unless that takes
  // too long.
  static constexpr Milliseconds kColdPatience{1500};
  static constexpr std::uint32_t kColdAttempts = 4;
  static constexpr Milliseconds kLongestCold{5000};

  struct Next {
    Milliseconds pause{0};
    bool told = false;  // whoever waits need wait no longer
  };

  explicit Retries(std::string_view target);

  // Failures are kept from users for so long.
  void have_patience(Milliseconds now, Milliseconds patience) { patience_end_ = now + patience; }
  void opened();
  // It is another target now.
  void forget();
  Next failed(const tunnel::io::Reason& reason, Milliseconds now);
  // The target lets us in, and is lost soon after: the pause before the next dial; 0: none.
  Milliseconds relapsed(Milliseconds ready_since, Milliseconds now);

  // Dials that failed in a row.
  [[nodiscard]] std::uint32_t failures() const { return failures_; }
  // The last dial: trying again soon would only annoy the daemon.
  [[nodiscard]] bool refused() const { return refused_; }

 private:
  void begin_cold(Milliseconds now);
  [[nodiscard]] bool is_patient(Milliseconds now) const;
  [[nodiscard]] Milliseconds pause(Milliseconds first, Milliseconds longest, std::uint32_t times,
                                   Milliseconds now) const;

  const std::uint64_t spread_;
  std::uint32_t failures_ = 0;
  std::uint32_t relapses_ = 0;      // losses to a breach or soon after the open, close together
  Milliseconds relapses_until_{0};  // one before then counts as close
  Milliseconds patience_end_{0};
  std::optional<Milliseconds> cold_since_;  // while it has the short patience
  std::optional<Milliseconds> failed_at_;
  bool refused_ = false;
};

}  // namespace proxy
