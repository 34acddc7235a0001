// The digests that known_hosts files and key fingerprints are made of.
#pragma once

#include <string>

#include "base/bytes.h"

namespace tunnel::ssh {

base::Buffer hmac_sha1(base::Bytes key, base::Bytes text);

// "SHA256:..." of a public key, as ssh-keygen -l prints it.
std::string fingerprint(base::Bytes key);

}  // namespace tunnel::ssh
