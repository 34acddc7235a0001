// Memory for long replies. Memory that is fresh from the system costs a page fault for each of its
// pages, which takes longer than all the copying, so blocks that were let go are kept for the next
// replies, within a bound, until nobody has used them for a while.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "tunnel/io/clock.h"

namespace proxy {

class Slabs {
 public:
  // Bytes of all blocks that are kept, and of one.
  static constexpr std::size_t kMostKept = std::size_t{16} << 20;
  static constexpr std::size_t kLongestKept = std::size_t{8} << 20;
  static constexpr tunnel::io::Milliseconds kIdle{3000};

  // The clock outlives it, and so may what take() gave.
  explicit Slabs(tunnel::io::Clock& clock) : store_(std::make_shared<Store>(clock)) {}
  Slabs(const Slabs&) = delete;
  Slabs& operator=(const Slabs&) = delete;
  ~Slabs() = default;

  // A block of `size` bytes at least, with anything in it.
  std::shared_ptr<std::uint8_t[]> take(std::size_t size);

  // Bytes of the blocks that nobody has now.
  [[nodiscard]] std::size_t kept() const { return store_->kept; }

 private:
  struct Slab {
    std::unique_ptr<std::uint8_t[]> bytes;
    std::size_t size = 0;
    bool idle = false;  // since the timer was last there
  };
  struct Store {
    explicit Store(tunnel::io::Clock& clock) : timer(clock, [this] { drop_idle(); }) {}
    Slab take(std::size_t size);
    void give(Slab slab);
    void drop_idle();

    std::vector<Slab> slabs;
    std::size_t kept = 0;
    tunnel::io::Timer timer;
  };
  // Gives a block back.
  struct Loan {
    Loan(std::weak_ptr<Store> from, Slab taken) : store(std::move(from)), slab(std::move(taken)) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan();

    std::weak_ptr<Store> store;
    Slab slab;
  };

  const std::shared_ptr<Store> store_;
};

}  // namespace proxy
