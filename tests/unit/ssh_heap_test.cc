// The heap for libssh2 never gives more memory than its bound, and a block that is resized keeps
// what it holds.
#include <cstring>

#include "tests/unit/support/catch.h"
#include "tunnel/ssh/heap.h"

using tunnel::ssh::Heap;

TEST_CASE("a heap gives no more than it may", "[ssh]") {
  Heap heap(1000);
  void* one = heap.allocate(400);
  REQUIRE(one != nullptr);
  std::memset(one, 7, 400);
  void* two = heap.allocate(400);
  REQUIRE(two != nullptr);
  CHECK(heap.used() >= 800);
  CHECK(heap.allocate(400) == nullptr);
  CHECK(heap.allocate(static_cast<std::size_t>(-1)) == nullptr);
  CHECK(heap.allocate(static_cast<std::size_t>(-8)) == nullptr);
  heap.release(two);
  void* three = heap.allocate(400);
  CHECK(three != nullptr);
  heap.set_most(10);
  CHECK(heap.allocate(1) == nullptr);
  heap.release(three);
  heap.release(one);
  heap.release(nullptr);
  CHECK(heap.used() == 0);
}

TEST_CASE("a heap keeps what is in a block that changes its size", "[ssh]") {
  Heap heap(10000);
  auto* text = static_cast<char*>(heap.resize(nullptr, 4));
  REQUIRE(text != nullptr);
  std::memcpy(text, "abc", 4);
  text = static_cast<char*>(heap.resize(text, 4000));
  REQUIRE(text != nullptr);
  CHECK(std::string(text) == "abc");
  CHECK(heap.resize(text, 20000) == nullptr);
  CHECK(std::string(text) == "abc");
  text = static_cast<char*>(heap.resize(text, 2));
  CHECK(std::string(text, 2) == "ab");
  heap.release(text);
  CHECK(heap.used() == 0);
}
