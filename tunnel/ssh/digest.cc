#include "tunnel/ssh/digest.h"

#include <algorithm>
#include <array>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/check.h"

namespace tunnel::ssh {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

// By hand: keys are decoded with it, and GnuTLS would leave a copy of them behind.
std::string encode_base64(base::Bytes data) {
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

std::optional<base::Buffer> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t digits = text.size();
  while (digits > 0 && text.size() - digits < 2 && text[digits - 1] == '=') --digits;
  base::Buffer out(digits * 3 / 4);
  std::uint32_t bits = 0;
  std::size_t used = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const std::size_t digit = kDigits.find(text[i]);
    if (digit == kDigits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    // Of each four digits the first completes no byte.
    if (i % 4 != 0) out[used++] = static_cast<std::uint8_t>(bits >> (6 - 2 * (i % 4)));
  }
  return out;
}

base::Buffer hmac_sha1(base::Bytes key, base::Bytes text) {
  base::Buffer out(20);
  CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA1, key.data(), key.size(), text.data(), text.size(),
                         out.data()) == GNUTLS_E_SUCCESS);
  return out;
}

std::string fingerprint(base::Bytes key) {
  std::array<std::uint8_t, 32> hash{};
  CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, key.data(), key.size(), hash.data()) ==
        GNUTLS_E_SUCCESS);
  std::string text = encode_base64(hash);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return "SHA256:" + text;
}

}  // namespace tunnel::ssh
