// What is said of newcomers that were ended unheard because too many of their user's wait: one
// record a second for each user, however many they are.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include <sys/types.h>

#include "proxy/record/log.h"
#include "tunnel/io/clock.h"

namespace proxy {

class Crowds {
 public:
  static constexpr tunnel::io::Milliseconds kSay{1000};

  // Both outlive it.
  Crowds(tunnel::io::Clock& clock, Log& log) : log_(log), timer_(clock, [this] { say(); }) {}
  Crowds(const Crowds&) = delete;
  Crowds& operator=(const Crowds&) = delete;
  ~Crowds() = default;

  void add(uid_t uid) {
    ++counts_[uid];
    if (!timer_.running()) timer_.start(kSay);
  }

 private:
  void say() {
    for (const auto& [uid, count] : std::exchange(counts_, {})) {
      log_.audit(Level::warning, "turned-away")
          .with("uid", static_cast<std::int64_t>(uid))
          .with("clients", count)
          .with("reason",
                "too many clients of this user, or of all, are here or wait to be let in");
    }
  }

  Log& log_;
  std::map<uid_t, std::int64_t> counts_;
  tunnel::io::Timer timer_;
};

}  // namespace proxy
