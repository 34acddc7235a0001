#include "base/base64.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace base {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// How many bytes were written to `to`, which has room for 3 for each 4 of `text`.
std::optional<std::size_t> decode(std::string_view text, std::uint8_t* to) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t digits = text.size();
  while (digits > 0 && text.size() - digits < 2 && text[digits - 1] == '=') --digits;
  std::uint32_t bits = 0;
  std::size_t size = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const std::size_t digit = kDigits.find(text[i]);
    if (digit == kDigits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    // Of each four digits the first completes no byte.
    if (i % 4 != 0) to[size++] = static_cast<std::uint8_t>(bits >> (6 - 2 * (i % 4)));
  }
  return size;
}

}  // namespace

std::string encode_base64(Bytes data) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const std::size_t size = std::min<std::size_t>(3, data.size() - i);
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j) three = three << 8 | (j < size ? data[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= size ? kDigits[three >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

std::optional<Buffer> decode_base64(std::string_view text) {
  Buffer out(text.size() / 4 * 3);
  const auto size = decode(text, out.data());
  if (!size) return std::nullopt;
  out.resize(*size);
  return out;
}

std::optional<Secret> decode_secret(std::string_view text) {
  Secret packed(text.size());
  std::size_t length = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    packed.data()[length++] = static_cast<std::uint8_t>(c);
  }
  packed.shrink(length);
  Secret out(length / 4 * 3);
  const auto size = decode(packed.text(), out.data());
  if (!size) return std::nullopt;
  out.shrink(*size);
  return out;
}

}  // namespace base
