// What an error code of GnuTLS means to the person who wants to reach the server.
#pragma once

#include <cstdint>
#include <string>

#include "tunnel/io/stream.h"

namespace tunnel {

// When it came up.
struct TlsSituation {
  bool handshaking = false;
  bool heard = false;       // the server has sent anything at all
  bool confirming = false;  // the server's word on our certificate is awaited
  std::uint8_t alert = 0;   // the last one that the server sent
  bool showed_certificate = false;
  std::string shown;  // TlsCredentials::shown()
};

// Whether the server should be told by an alert, since neither it nor the connection said so.
bool tls_is_our_finding(int code);

// `code` is fatal, and not about the trust in the server's certificate; GNUTLS_E_SESSION_EOF is its
// close_notify. The reason's stage is left to the caller.
io::Reason tls_failure(int code, const TlsSituation& situation);

}  // namespace tunnel
