// The data types of the ssh protocol, RFC 4251 section 5, as far as its keys, its agent and its
// first packets need them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace tunnel::ssh {

// Takes values off the front of `data`, which outlives it and whatever it returns. Once a value was
// not there in full, ok() is false and everything taken is empty or zero.
class WireReader {
 public:
  explicit WireReader(base::Bytes data) : rest_(data) {}

  std::uint8_t byte();
  std::uint32_t number();
  base::Bytes raw(std::size_t length);
  base::Bytes string();
  std::string_view text() { return base::text_of(string()); }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  base::Bytes rest_;
  bool ok_ = true;
};

void put_number(base::Buffer& to, std::uint32_t number);
void put_string(base::Buffer& to, base::Bytes string);
inline void put_string(base::Buffer& to, std::string_view text) {
  put_string(to, base::bytes_of(text));
}

}  // namespace tunnel::ssh
