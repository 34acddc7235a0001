// Bytes that must not stay behind in memory: a key, a password, or a file that holds one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace base {

// They lie in one allocation that never moves and is wiped before it is given back. It never grows,
// since growing would leave a copy behind, and it is not copied by accident. A NUL that does not
// count follows them, for libraries that want one.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size)
      : bytes_(new std::uint8_t[size + 1]()), capacity_(size), size_(size) {}
  explicit Secret(std::string_view text) : Secret(text.size()) {
    if (!text.empty()) std::memcpy(bytes_.get(), text.data(), text.size());
  }
  Secret(Secret&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    wipe();
    bytes_ = std::move(other.bytes_);
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint8_t* data() { return bytes_.get(); }
  [[nodiscard]] const char* c_str() const {
    return bytes_ == nullptr ? "" : reinterpret_cast<const char*>(bytes_.get());
  }
  [[nodiscard]] Bytes bytes() const { return {bytes_.get(), size_}; }
  // With the NUL behind it.
  [[nodiscard]] Bytes terminated() const {
    return {reinterpret_cast<const std::uint8_t*>(c_str()), size_ + 1};
  }
  // Lives as long as this, and is a secret too.
  [[nodiscard]] std::string_view text() const { return {c_str(), size_}; }

  // Cuts it; what is cut off is wiped.
  void shrink(std::size_t size) {
    CHECK(size <= size_);
    if (size == size_) return;
    explicit_bzero(bytes_.get() + size, size_ - size);
    size_ = size;
  }

  void wipe() {
    if (bytes_ != nullptr) explicit_bzero(bytes_.get(), capacity_);
    bytes_.reset();
    capacity_ = size_ = 0;
  }

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace base
