#include "tunnel/tls/failure.h"

#include <algorithm>
#include <array>
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

// What GnuTLS and others mean by handshake_failure is not only what its name says.
std::string causes() {
  const std::string version =
      kTlsNewestVersion == "1.2"
          ? "require TLS 1.3, while this build has 1.2, or speak only older versions"
          : "speak only versions of TLS older than 1.2";
  return "it may " + version +
         ", have no cipher in common with us (ECDHE with AES-GCM or ChaCha20-Poly1305), have a "
         "certificate of a kind that mbedTLS does not know, such as Ed25519, or want a certificate "
         "of us";
}

// An end of the handshake that nobody explains may be about the certificate that we do not have.
std::string hint(const TlsSituation& situation) {
  return situation.handshaking && !situation.showed_certificate ? "; " + situation.shown : "";
}

Reason alert_reason(const TlsSituation& situation) {
  const std::string said = " (alert " + tls_alert_name(situation.alert) + ")";
  if (situation.alert == kProtocolVersion) {
    if (kTlsNewestVersion == "1.2") {
      return reason(Kind::refused, "the server requires TLS 1.3, this build has 1.2" + said);
    }
    return reason(Kind::refused, "the server speaks neither TLS " + std::string(kTlsVersions) +
                                     ", which this build has" + said);
  }
  if (situation.confirming || tls_alert_blames_us(situation.alert)) {
    return reason(Kind::refused,
                  "the server refused our certificate" + said + "; " + situation.shown);
  }
  if (situation.alert == kHandshakeFailure || situation.alert == kInsufficientSecurity) {
    return reason(Kind::refused, "the server found no way to agree" + said + ": " + causes() +
                                     "; " + situation.shown);
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
                                 " during the handshake, before it had sent anything: GnuTLS does "
                                 "so when it has no certificate that this build can use, such as "
                                 "with a key that is Ed25519 or RSA-PSS and neither RSA nor ECDSA, "
                                 "and so does what speaks no TLS" +
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

// What mbedTLS's code says in its part for the module, without the part for the detail.
int module_code(int code) { return -(-code & 0xff80); }

// Each module has a code of its own for it.
bool lacks_memory(int code) {
  static constexpr std::array kCodes = {
      MBEDTLS_ERR_SSL_ALLOC_FAILED,    MBEDTLS_ERR_X509_ALLOC_FAILED,
      MBEDTLS_ERR_PK_ALLOC_FAILED,     MBEDTLS_ERR_MPI_ALLOC_FAILED,
      MBEDTLS_ERR_ECP_ALLOC_FAILED,    MBEDTLS_ERR_MD_ALLOC_FAILED,
      MBEDTLS_ERR_CIPHER_ALLOC_FAILED, MBEDTLS_ERR_PEM_ALLOC_FAILED,
      MBEDTLS_ERR_ASN1_ALLOC_FAILED};
  const int detail = -(-code & 0x7f);
  return std::ranges::any_of(kCodes, [&](int one) { return code == one || detail == one; }) ||
         std::ranges::find(kCodes, module_code(code)) != kCodes.end();
}

bool about_certificates(int code) {
  const int module = -module_code(code);
  const bool x509 = module >= 0x2080 && module <= 0x3000;
  const bool key = module >= 0x3900 && module <= 0x3f80;
  return x509 || key;
}

Reason handshake_reason(int code) {
  const std::string words = " (" + tls_error_text(code) + ")";
  if (code == kTlsBadVersion) {
    return reason(Kind::refused, "the server speaks no TLS of version " +
                                     std::string(kTlsVersions) +
                                     ", and older ones are not accepted" + words);
  }
  if (code == MBEDTLS_ERR_SSL_INVALID_RECORD) {
    return reason(Kind::protocol, "what the server sent is not TLS" + words);
  }
  if (code == MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE) {
    return reason(Kind::protocol,
                  "the server sent a message of the handshake in several records, or more than "
                  "mbedTLS takes: a shorter chain of certificates may help" +
                      words);
  }
  if (about_certificates(code)) {
    return reason(Kind::refused,
                  "the server's certificates cannot be checked: mbedTLS does not understand them; "
                  "it knows RSA and ECDSA, and neither Ed25519 nor RSA-PSS, nor an intermediate CA "
                  "whose constraints of names are marked critical" +
                      words);
  }
  return reason(Kind::protocol, "the handshake failed" + words);
}

}  // namespace

Reason tls_failure(int code, const TlsSituation& situation) {
  if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) return alert_reason(situation);
  if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) return end_reason(" in order", situation);
  if (code == MBEDTLS_ERR_SSL_CONN_EOF) return end_reason("", situation);
  const std::string words = " (" + tls_error_text(code) + ")";
  if (lacks_memory(code)) return reason(Kind::exhausted, "no memory for TLS" + words);
  if (code == MBEDTLS_ERR_SSL_INTERNAL_ERROR) {
    return reason(Kind::system, "TLS failed on our side" + words);
  }
  if (situation.handshaking) return handshake_reason(code);
  return reason(Kind::protocol, "what the server sent does not hold as TLS" + words);
}

}  // namespace tunnel
