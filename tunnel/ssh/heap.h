// What one session of libssh2 may take of memory. A server can have the library ask for ever more:
// 1.11.1 does so without an end when a key exchange is malformed. Asked for more than there may be,
// the heap gives nothing, which fails the operation that asked.
#pragma once

#include <cstddef>

namespace tunnel::ssh {

class Heap {
 public:
  explicit Heap(std::size_t most) : most_(most) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  // Everything has been released.
  ~Heap() = default;

  // As malloc(), free() and realloc(), and blocks are such as these give: libssh2 1.11.1 hands some
  // of a session to free(), which then count on until the session ends.
  void* allocate(std::size_t size);
  void release(void* block);
  void* resize(void* block, std::size_t size);

  // The bound from now on; what is taken beyond it stays.
  void set_most(std::size_t most) { most_ = most; }
  [[nodiscard]] std::size_t most() const { return most_; }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::size_t most_;
  std::size_t used_ = 0;  // with what each block needs beside itself
};

}  // namespace tunnel::ssh
