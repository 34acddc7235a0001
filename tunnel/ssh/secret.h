// Bytes that are wiped when nobody needs them any more: private keys and passphrases. They lie in
// one allocation that never moves, and end with a NUL that does not count, for libraries that want
// one.
#pragma once

#include <memory>
#include <utility>

#include "base/bytes.h"

namespace tunnel::ssh {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size)
      : bytes_(new std::uint8_t[size + 1]()), capacity_(size), size_(size) {}
  Secret(Secret&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(capacity_, other.capacity_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Secret();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint8_t* data() { return bytes_.get(); }
  [[nodiscard]] const char* c_str() const {
    return bytes_ == nullptr ? "" : reinterpret_cast<const char*>(bytes_.get());
  }
  [[nodiscard]] base::Bytes bytes() const { return {bytes_.get(), size_}; }

  // To `size` bytes, not more than there are.
  void shrink(std::size_t size);

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tunnel::ssh
