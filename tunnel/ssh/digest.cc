#include "tunnel/ssh/digest.h"

#include <array>

#include <mbedtls/base64.h>
#include <mbedtls/md.h>

#include "base/check.h"

namespace tunnel::ssh {

std::string encode_base64(base::Bytes data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  std::size_t length = 0;
  CHECK(mbedtls_base64_encode(reinterpret_cast<unsigned char*>(out.data()), out.size(), &length,
                              data.data(), data.size()) == 0);
  out.resize(length);
  return out;
}

std::optional<base::Buffer> decode_base64(std::string_view text) {
  // mbedTLS lets padding be left out.
  if (text.size() % 4 != 0) return std::nullopt;
  base::Buffer out(text.size() / 4 * 3 + 3);
  std::size_t length = 0;
  const base::Bytes in = base::bytes_of(text);
  if (mbedtls_base64_decode(out.data(), out.size(), &length, in.data(), in.size()) != 0) {
    return std::nullopt;
  }
  out.resize(length);
  return out;
}

base::Buffer hmac_sha1(base::Bytes key, base::Bytes text) {
  const mbedtls_md_info_t* sha1 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);
  CHECK(sha1 != nullptr);
  base::Buffer out(20);
  CHECK(mbedtls_md_hmac(sha1, key.data(), key.size(), text.data(), text.size(), out.data()) == 0);
  return out;
}

std::string fingerprint(base::Bytes key) {
  const mbedtls_md_info_t* sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
  CHECK(sha256 != nullptr);
  std::array<std::uint8_t, 32> hash{};
  CHECK(mbedtls_md(sha256, key.data(), key.size(), hash.data()) == 0);
  std::string text = encode_base64(hash);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return "SHA256:" + text;
}

}  // namespace tunnel::ssh
