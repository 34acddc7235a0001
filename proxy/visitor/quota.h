// A sum of bytes with a bound, and the clients that wait until it is small again. Several of them
// can keep up what they are together.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <set>

#include "tunnel/io/clock.h"

namespace proxy {

// The sum is full while it exceeds its bound. Whoever waits goes on when half of the bound is
// enough: a quota that is always nearly full would otherwise wake everybody for nothing.
class Quota {
 public:
  class Part;

  // Clock and `together` outlive the quota. `most` gives the bound, in bytes, and is asked each
  // time, because it may change. Whoever waits is woken when parts of this quota make it smaller.
  Quota(tunnel::io::Clock& clock, std::function<std::uint64_t()> most, std::uint64_t& together);
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;
  // All parts are gone.
  ~Quota();

  [[nodiscard]] std::uint64_t sum() const { return sum_; }
  [[nodiscard]] bool full() const { return sum_ > most_(); }
  [[nodiscard]] bool has_room(std::uint64_t bytes) const;
  // Lets each part that can shrink unnoticed count itself again.
  void recount();

 private:
  void change(Part& part, std::uint64_t bytes);
  void wait(Part& part);
  void forget(Part& part);
  void look();

  const std::function<std::uint64_t()> most_;
  std::uint64_t& together_;
  std::uint64_t sum_ = 0;
  std::set<Part*> counted_;     // parts that can shrink unnoticed, and are not empty
  std::list<Part*> waiting_;    // in the order in which they came
  tunnel::io::Timer relieves_;  // at once after a decrease, now and then while somebody waits
};

// What one client contributes to the sum. Its destruction gives all of it back.
class Quota::Part {
 public:
  // The quota outlives its parts. `relieved` is called from the clock, once for each wait.
  // `recount` is empty where every change is told by set(); otherwise it calls set() with what
  // there is now.
  Part(Quota& quota, std::function<void()> relieved, std::function<void()> recount = {});
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part();

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool waits() const { return waits_; }
  void set(std::uint64_t bytes) { quota_.change(*this, bytes); }
  // True: the quota is full, and relieved() follows once it is not.
  [[nodiscard]] bool must_wait();

 private:
  friend class Quota;

  Quota& quota_;
  const std::function<void()> relieved_;
  const std::function<void()> recount_;
  std::uint64_t bytes_ = 0;
  bool waits_ = false;
};

}  // namespace proxy
