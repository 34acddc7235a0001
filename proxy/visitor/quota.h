// A sum of bytes with a bound, and the clients that wait until it is small again. Several of them
// can keep up what they are together.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <set>
#include <utility>

#include "tunnel/io/clock.h"

namespace proxy {

// A sum of bytes that is a part of a larger one.
class ByteSum {
 public:
  // The larger one outlives it.
  explicit ByteSum(ByteSum* of = nullptr) : of_(of) {}
  ByteSum(const ByteSum&) = delete;
  ByteSum& operator=(const ByteSum&) = delete;
  ~ByteSum() = default;

  [[nodiscard]] std::uint64_t sum() const { return sum_; }
  // How many of its parts are not empty.
  [[nodiscard]] std::size_t holders() const { return holders_; }
  // One of the bytes that it is a sum of has changed.
  void change(std::uint64_t before, std::uint64_t after) {
    const std::uint64_t was = std::exchange(sum_, sum_ - before + after);
    if (of_ == nullptr) return;
    of_->change(was, sum_);
    if (was == 0 && sum_ > 0) ++of_->holders_;
    if (was > 0 && sum_ == 0) --of_->holders_;
  }

 private:
  ByteSum* const of_;
  std::uint64_t sum_ = 0;
  std::size_t holders_ = 0;
};

// How much a quota may hold. Asked each time, because it may change.
class QuotaBound {
 public:
  virtual ~QuotaBound() = default;
  // Bytes.
  [[nodiscard]] virtual std::uint64_t most() const = 0;
  // What the quota is a part of holds more than one `fraction`th of its share of what is scarce.
  // Without what is `expected`, if that does not count.
  [[nodiscard]] virtual bool over_share(std::uint64_t fraction, bool expected) const = 0;
};

// The sum is full while it exceeds its bound. Whoever waits goes on when half of the bound is
// enough: a quota that is always nearly full would otherwise wake everybody for nothing.
class Quota {
 public:
  class Part;

  // All outlive the quota. What there is counts in `together` too, and what is expected in
  // `expected`; null: nothing ever is.
  Quota(tunnel::io::Clock& clock, const QuotaBound& bound, ByteSum& together, ByteSum* expected);
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;
  // All parts are gone.
  ~Quota();

  // With what is expected.
  [[nodiscard]] std::uint64_t sum() const { return sum_ + expected_; }
  [[nodiscard]] bool full() const { return sum() > bound_.most() || bound_.over_share(1, true); }
  // What is expected takes none.
  [[nodiscard]] bool has_room(std::uint64_t bytes) const;
  // Lets each part that can shrink unnoticed count itself again.
  void recount();

 private:
  void change(Part& part, std::uint64_t bytes);
  void expect(Part& part, std::uint64_t bytes);
  void became_less();
  [[nodiscard]] bool may_go_on_unnoticed() const;
  void wait(Part& part);
  void forget(Part& part);
  void look();

  const QuotaBound& bound_;
  ByteSum& together_;
  ByteSum* const all_expected_;
  std::uint64_t sum_ = 0;
  std::uint64_t expected_ = 0;
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
  // So many more are on their way.
  void expect(std::uint64_t bytes) { quota_.expect(*this, bytes); }
  [[nodiscard]] std::uint64_t expected() const { return expected_; }
  // True: the quota is full, and relieved() follows once it is not.
  [[nodiscard]] bool must_wait();

 private:
  friend class Quota;

  Quota& quota_;
  const std::function<void()> relieved_;
  const std::function<void()> recount_;
  std::uint64_t bytes_ = 0;
  std::uint64_t expected_ = 0;
  bool waits_ = false;
};

}  // namespace proxy
