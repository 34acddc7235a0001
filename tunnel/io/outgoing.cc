#include "tunnel/io/outgoing.h"

#include <utility>

#include "base/check.h"

namespace tunnel::io {
namespace {

uv_buf_t piece_of(base::Bytes bytes) {
  // libuv only reads from what it sends.
  auto* at = const_cast<std::uint8_t*>(bytes.data());
  return {reinterpret_cast<char*>(at), bytes.size()};
}

}  // namespace

void Outgoing::close_tail() {
  Link& link = links_.emplace_back();
  link.own.swap(tail_);
  link.bytes = link.own;
}

std::size_t Outgoing::gather(std::span<uv_buf_t> space) const {
  std::size_t count = 0;
  std::size_t skip = taken_;
  const auto add = [&](base::Bytes bytes) {
    bytes = bytes.subspan(std::exchange(skip, 0));
    if (!bytes.empty() && count < space.size()) space[count++] = piece_of(bytes);
  };
  for (const Link& link : links_) {
    if (count == space.size()) return count;
    add(link.bytes);
  }
  add(tail_);
  return count;
}

void Outgoing::take(std::size_t count) {
  CHECK(count <= size_);
  size_ -= count;
  taken_ += count;
  auto link = links_.begin();
  while (link != links_.end() && taken_ >= link->bytes.size()) {
    taken_ -= link->bytes.size();
    ++link;
  }
  links_.erase(links_.begin(), link);
  if (size_ > 0) return;
  taken_ = 0;
  std::vector<Link>().swap(links_);
  base::Buffer().swap(tail_);
}

void Outgoing::swap(Outgoing& other) noexcept {
  links_.swap(other.links_);
  tail_.swap(other.tail_);
  std::swap(taken_, other.taken_);
  std::swap(size_, other.size_);
}

}  // namespace tunnel::io
