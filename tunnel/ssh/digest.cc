#include "tunnel/ssh/digest.h"

#include <array>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/base64.h"
#include "base/check.h"

namespace tunnel::ssh {

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
  std::string text = base::encode_base64(hash);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return "SHA256:" + text;
}

}  // namespace tunnel::ssh
