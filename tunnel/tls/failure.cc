#include "tunnel/tls/failure.h"

#include <string_view>
#include <utility>

#include "tunnel/tls/library.h"
#include "tunnel/tls/text.h"

namespace tunnel {
namespace {

using io::Reason;
using Kind = io::Reason::Kind;

constexpr std::uint8_t kHandshakeFailure = 40;
constexpr std::uint8_t kProtocolVersion = 70;
constexpr std::uint8_t kInsufficientSecurity = 71;
constexpr std::uint8_t kUnrecognizedName = 112;

Reason reason(Kind kind, std::string text) {
  return {kind, io::Stage::established, std::move(text)};
}

// What is meant by handshake_failure is not only what its name says.
constexpr std::string_view kCauses =
    "it may speak only versions of TLS older than 1.2, have no cipher in common with us (ECDHE "
    "with "
    "AES-GCM or ChaCha20-Poly1305), or want a certificate of us";

// An end of the handshake that nobody explains may be about the certificate that we do not have.
std::string hint(const TlsSituation& situation) {
  return situation.handshaking && !situation.showed_certificate ? "; " + situation.shown : "";
}

Reason alert_reason(const TlsSituation& situation) {
  const std::string said = " (alert " + tls_alert_name(situation.alert) + ")";
  if (situation.alert == kProtocolVersion) {
    return reason(Kind::refused, "the server speaks neither TLS 1.2 nor 1.3" + said);
  }
  if (situation.confirming || tls_alert_blames_us(situation.alert)) {
    return reason(Kind::refused,
                  "the server refused our certificate" + said + "; " + situation.shown);
  }
  if (situation.alert == kHandshakeFailure || situation.alert == kInsufficientSecurity) {
    return reason(Kind::refused, "the server found no way to agree" + said + ": " +
                                     std::string(kCauses) + "; " + situation.shown);
  }
  if (situation.alert == kUnrecognizedName) {
    return reason(Kind::refused, "the server does not go by this name" + said);
  }
  return reason(Kind::protocol, "the server broke the connection off" + said + hint(situation));
}

Reason end_reason(std::string_view how, const TlsSituation& situation) {
  const std::string ended = "the server closed the connection" + std::string(how);
  if (situation.handshaking && !situation.heard) {
    return reason(Kind::end, ended +
                                 " during the handshake, before it had sent anything, as does "
                                 "what speaks no TLS" +
                                 hint(situation));
  }
  if (situation.handshaking) {
    return reason(Kind::end, ended + " during the handshake" + hint(situation));
  }
  if (situation.confirming) {
    return reason(Kind::refused,
                  "the server refused us: after the handshake it closed the "
                  "connection instead of accepting our certificate, and its log "
                  "says why; " +
                      situation.shown);
  }
  // libvirtd never sends one, so that its lack is no breach. What was cut off shows in the layer
  // above, whose messages have a length.
  return reason(Kind::end, ended + " without TLS's close_notify");
}

bool about_certificates(int code) {
  const bool asn1 = code <= GNUTLS_E_ASN1_ELEMENT_NOT_FOUND && code >= GNUTLS_E_ASN1_DER_OVERFLOW;
  return asn1 || code == GNUTLS_E_CERTIFICATE_ERROR || code == GNUTLS_E_KEY_USAGE_VIOLATION ||
         code == GNUTLS_E_UNKNOWN_PK_ALGORITHM || code == GNUTLS_E_UNSUPPORTED_CERTIFICATE_TYPE;
}

Reason handshake_reason(int code) {
  const std::string words = " (" + tls_error_text(code) + ")";
  switch (code) {
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
      return reason(Kind::refused,
                    "the server speaks no TLS of version 1.2 or 1.3, and older ones are not "
                    "accepted" +
                        words);
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_RECORD_OVERFLOW:
    case GNUTLS_E_UNEXPECTED_PACKET:
      return reason(Kind::protocol, "what the server sent is not TLS" + words);
    default:
      if (about_certificates(code)) {
        return reason(Kind::refused, "the server's certificates cannot be checked" + words);
      }
      return reason(Kind::protocol, "the handshake failed" + words);
  }
}

}  // namespace

bool tls_is_our_finding(int code) {
  return code != GNUTLS_E_FATAL_ALERT_RECEIVED && code != GNUTLS_E_SESSION_EOF &&
         code != GNUTLS_E_PREMATURE_TERMINATION;
}

Reason tls_failure(int code, const TlsSituation& situation) {
  const std::string words = " (" + tls_error_text(code) + ")";
  switch (code) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
      return alert_reason(situation);
    case GNUTLS_E_SESSION_EOF:
      return end_reason(" in order", situation);
    case GNUTLS_E_PREMATURE_TERMINATION:
      return end_reason("", situation);
    case GNUTLS_E_MEMORY_ERROR:
      return reason(Kind::exhausted, "no memory for TLS" + words);
    default:
      break;
  }
  if (situation.handshaking) return handshake_reason(code);
  if (code == GNUTLS_E_INTERNAL_ERROR)
    return reason(Kind::system, "TLS failed on our side" + words);
  return reason(Kind::protocol, "what the server sent does not hold as TLS" + words);
}

}  // namespace tunnel
