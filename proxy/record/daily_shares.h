// What the records about each user may take of a disk. A share fills by itself, half of what is for
// a day at once, so that in no day more than that is written; what is beyond it is dropped and
// counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <sys/types.h>

#include "tunnel/io/clock.h"

namespace proxy {

class DailyShares {
 public:
  // Users who are told apart; those who come when there are as many share one.
  static constexpr std::size_t kMostUsers = 4096;
  // Users whose drops are counted apart.
  static constexpr std::size_t kMostCounted = 100;

  // `a_day`: bytes of one user.
  explicit DailyShares(std::uint64_t a_day) : a_day_(a_day) {}

  // What is used of the shares stays used.
  void set(std::uint64_t a_day) { a_day_ = a_day; }
  [[nodiscard]] std::uint64_t a_day() const { return a_day_; }

  enum class Taken : std::uint8_t {
    yes,
    no,
    no_more,  // likewise, and it is the first that is dropped for a while
  };
  // A record of so many bytes. The last eighth of a share is for what matters more.
  Taken take(uid_t uid, std::size_t bytes, bool matters, tunnel::io::Milliseconds now);

  // Records dropped since the start, by user; without one: of all beyond kMostCounted.
  [[nodiscard]] const std::map<std::optional<uid_t>, std::uint64_t>& dropped() const {
    return dropped_;
  }

 private:
  struct Share {
    double left = 0;  // bytes
    tunnel::io::Milliseconds at{0};
    bool spent = false;
  };

  Share& share_of(uid_t uid, tunnel::io::Milliseconds now);
  void forget(tunnel::io::Milliseconds now);
  void count(uid_t uid);

  std::uint64_t a_day_;
  std::map<uid_t, Share> shares_;
  std::map<std::optional<uid_t>, std::uint64_t> dropped_;
};

}  // namespace proxy
