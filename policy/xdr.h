// XDR as libvirt uses it: big-endian words of four bytes, strings with their length before them and
// zeros behind them up to a whole word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace policy {

inline std::uint32_t load_word(const std::uint8_t* from) {
  return std::uint32_t{from[0]} << 24U | std::uint32_t{from[1]} << 16U |
         std::uint32_t{from[2]} << 8U | std::uint32_t{from[3]};
}

inline void store_word(std::uint8_t* to, std::uint32_t value) {
  to[0] = static_cast<std::uint8_t>(value >> 24U);
  to[1] = static_cast<std::uint8_t>(value >> 16U);
  to[2] = static_cast<std::uint8_t>(value >> 8U);
  to[3] = static_cast<std::uint8_t>(value);
}

// Reads values off the front of some bytes. Each function returns false, and reads nothing, when
// what it is asked for is not there in full.
class XdrReader {
 public:
  explicit XdrReader(base::Bytes bytes) : rest_(bytes) {}

  bool word(std::uint32_t& value);
  bool fixed(std::size_t size, base::Bytes& value);  // `size` is a multiple of 4
  // The padding must be there, whatever is in it. `value` can hold NUL bytes.
  bool string(std::string_view& value);
  // An optional's discriminator: as daemons have it, any word but 0 means present.
  bool optional(bool& present);

  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  base::Bytes rest_;
};

// Appends values to a buffer.
class XdrWriter {
 public:
  explicit XdrWriter(base::Buffer& to) : to_(&to) {}

  void word(std::uint32_t value);
  void number(std::int32_t value) { word(static_cast<std::uint32_t>(value)); }
  void fixed(base::Bytes value);  // a multiple of 4 bytes
  void string(std::string_view value);
  void optional(bool present) { word(present ? 1 : 0); }

 private:
  base::Buffer* to_;
};

}  // namespace policy
