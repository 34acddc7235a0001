#include "base/allocate.h"

#include <cstdlib>
#include <new>

namespace base {
namespace {

template <typename Try>
void* insist(Try attempt) {
  for (;;) {
    void* block = attempt();
    if (block != nullptr) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) return nullptr;
    handler();
  }
}

}  // namespace

void* allocate(std::size_t size) {
  return insist([=] { return std::malloc(size == 0 ? 1 : size); });
}

void* allocate_zeros(std::size_t count, std::size_t size) {
  return insist([=] { return std::calloc(count == 0 ? 1 : count, size == 0 ? 1 : size); });
}

void* reallocate(void* block, std::size_t size) {
  return insist([=] { return std::realloc(block, size == 0 ? 1 : size); });
}

}  // namespace base
