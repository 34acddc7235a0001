// What waits to be sent: bytes that were copied, and bytes that lie where they came in and are kept
// there. They leave in their order, many with one call of the system.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <uv.h>

#include "base/bytes.h"

namespace tunnel::io {

class Outgoing {
 public:
  Outgoing() = default;
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;
  ~Outgoing() = default;

  void add(base::Bytes copied) {
    base::append(tail_, copied);
    size_ += copied.size();
  }
  void add(base::Bytes kept, base::Keeper keeper) {
    if (!tail_.empty()) close_tail();
    links_.push_back({{}, kept, std::move(keeper)});
    size_ += kept.size();
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  // The same with what was taken of the first piece, which stays in memory until it has gone whole.
  [[nodiscard]] std::size_t held() const { return size_ + taken_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // How many pieces there are at most.
  [[nodiscard]] std::size_t pieces() const { return links_.size() + 1; }
  // Those from the front for which there is space; how many. They live until something is added or
  // taken.
  std::size_t gather(std::span<uv_buf_t> space) const;
  // Drops so many bytes from the front, and memory that nothing is in any more.
  void take(std::size_t count);
  void swap(Outgoing& other) noexcept;

 private:
  struct Link {
    base::Buffer own;  // empty: the bytes are kept by the keeper
    base::Bytes bytes;
    base::Keeper keeper;
  };

  void close_tail();

  std::vector<Link> links_;  // in front of the tail
  base::Buffer tail_;
  std::size_t taken_ = 0;  // of what is at the front
  std::size_t size_ = 0;
};

}  // namespace tunnel::io
