#include "tunnel/ssh/heap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace tunnel::ssh {
namespace {

// Before each block stands its size; what follows is aligned for anything.
constexpr std::size_t kHead = alignof(std::max_align_t);
static_assert(kHead >= sizeof(std::size_t));

std::byte* head_of(void* block) { return static_cast<std::byte*>(block) - kHead; }

std::size_t size_of(void* block) {
  std::size_t size = 0;
  std::memcpy(&size, head_of(block), sizeof size);
  return size;
}

}  // namespace

void* Heap::allocate(std::size_t size) {
  const std::size_t left = most_ > used_ ? most_ - used_ : 0;
  if (size > std::numeric_limits<std::size_t>::max() - kHead || size + kHead > left) return nullptr;
  auto* raw = static_cast<std::byte*>(std::malloc(size + kHead));
  if (raw == nullptr) return nullptr;
  std::memcpy(raw, &size, sizeof size);
  used_ += size + kHead;
  return raw + kHead;
}

void Heap::release(void* block) {
  if (block == nullptr) return;
  used_ -= size_of(block) + kHead;
  std::free(head_of(block));
}

void* Heap::resize(void* block, std::size_t size) {
  void* next = allocate(size);
  if (next == nullptr || block == nullptr) return next;
  std::memcpy(next, block, std::min(size, size_of(block)));
  release(block);
  return next;
}

}  // namespace tunnel::ssh
