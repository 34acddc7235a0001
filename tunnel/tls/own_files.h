// Failures of our own certificates and keys, before anything of a server was seen.
#pragma once

#include <string_view>

#include "tunnel/io/stream.h"

namespace tunnel {

// How the text of such a failure begins, and no other of the handshake or authentication.
inline constexpr std::string_view kOwnFilesFail = "our own files cannot be used: ";

inline bool is_of_own_files(const io::Reason& reason) {
  return reason.text.starts_with(kOwnFilesFail);
}

}  // namespace tunnel
