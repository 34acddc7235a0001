#include "policy/xdr.h"

#include <array>

#include "base/check.h"

namespace policy {

bool XdrReader::word(std::uint32_t& value) {
  if (rest_.size() < 4) return false;
  value = load_word(rest_.data());
  rest_ = rest_.subspan(4);
  return true;
}

bool XdrReader::fixed(std::size_t size, base::Bytes& value) {
  if (size > rest_.size()) return false;
  value = rest_.first(size);
  rest_ = rest_.subspan(size);
  return true;
}

bool XdrReader::string(std::string_view& value) {
  if (rest_.size() < 4) return false;
  const std::size_t length = load_word(rest_.data());
  const base::Bytes behind = rest_.subspan(4);
  if (length > behind.size()) return false;
  const std::size_t padding = (4 - length % 4) % 4;
  if (padding > behind.size() - length) return false;
  value = base::text_of(behind.first(length));
  rest_ = behind.subspan(length + padding);
  return true;
}

bool XdrReader::optional(bool& present) {
  std::uint32_t discriminator = 0;
  if (!word(discriminator)) return false;
  present = discriminator != 0;
  return true;
}

void XdrWriter::word(std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes;
  store_word(bytes.data(), value);
  base::append(*to_, bytes);
}

void XdrWriter::fixed(base::Bytes value) {
  CHECK(value.size() % 4 == 0);
  base::append(*to_, value);
}

void XdrWriter::string(std::string_view value) {
  static constexpr std::array<std::uint8_t, 3> kZeros{};
  CHECK(value.size() <= UINT32_MAX);
  word(static_cast<std::uint32_t>(value.size()));
  base::append(*to_, base::bytes_of(value));
  base::append(*to_, base::Bytes(kZeros).first((4 - value.size() % 4) % 4));
}

}  // namespace policy
