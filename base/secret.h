// Bytes that must not stay behind in memory: a key, a password, or a file that holds one.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace base {

// Its memory is wiped before it is given back. It never grows, since growing would leave a copy
// behind, and it is not copied by accident.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size) : bytes_(size) {}
  explicit Secret(std::string_view text) : bytes_(text.begin(), text.end()) {}
  Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    other.wipe();
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  // Lives as long as this, and is a secret too.
  [[nodiscard]] std::string_view text() const { return text_of(bytes_); }

  // Cuts it; what is cut off is wiped.
  void shrink(std::size_t size) {
    CHECK(size <= bytes_.size());
    if (size == bytes_.size()) return;
    explicit_bzero(bytes_.data() + size, bytes_.size() - size);
    bytes_.resize(size);
  }

  void wipe() {
    if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
    bytes_.clear();
  }

 private:
  Buffer bytes_;
};

}  // namespace base
