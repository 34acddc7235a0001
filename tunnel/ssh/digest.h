// Base64 and the digests that known_hosts files and key fingerprints are made of.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace tunnel::ssh {

// With padding, without line breaks.
std::string encode_base64(base::Bytes data);
// Nothing when `text` is no base64.
std::optional<base::Buffer> decode_base64(std::string_view text);

base::Buffer hmac_sha1(base::Bytes key, base::Bytes text);

// "SHA256:..." of a public key, as ssh-keygen -l prints it.
std::string fingerprint(base::Bytes key);

}  // namespace tunnel::ssh
