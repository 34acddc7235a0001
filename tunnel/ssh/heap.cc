#include "tunnel/ssh/heap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <malloc.h>

#include "base/allocate.h"

namespace tunnel::ssh {
namespace {

// About what malloc() needs for itself.
constexpr std::size_t kHead = sizeof(std::size_t);

// Blocks are plain ones of malloc(), for the library returns some of them to free() itself.
std::size_t cost_of(void* block) { return ::malloc_usable_size(block) + kHead; }

}  // namespace

void* Heap::allocate(std::size_t size) {
  const std::size_t left = most_ > used_ ? most_ - used_ : 0;
  if (size > std::numeric_limits<std::size_t>::max() - kHead || size + kHead > left) return nullptr;
  void* block = base::allocate(size);
  if (block != nullptr) used_ += cost_of(block);
  return block;
}

void Heap::release(void* block) {
  if (block == nullptr) return;
  used_ -= std::min(used_, cost_of(block));
  std::free(block);
}

void* Heap::resize(void* block, std::size_t size) {
  void* next = allocate(size);
  if (next == nullptr || block == nullptr) return next;
  std::memcpy(next, block, std::min(size, ::malloc_usable_size(block)));
  release(block);
  return next;
}

}  // namespace tunnel::ssh
