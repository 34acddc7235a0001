// mbedTLS 2.28 and 3.x as one library: the only file that knows which of them it is. Only the
// sources of TLS include it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <mbedtls/build_info.h>
#else
#include <mbedtls/config.h>
#endif
#include <mbedtls/base64.h>
#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

#include <sys/random.h>

#if !defined(MBEDTLS_HAVE_TIME_DATE)
#error "mbedTLS was built without MBEDTLS_HAVE_TIME_DATE: it would accept expired certificates"
#endif
#if !defined(MBEDTLS_X509_CRL_PARSE_C)
#error "mbedTLS was built without MBEDTLS_X509_CRL_PARSE_C: it would accept revoked certificates"
#endif

namespace tunnel {

#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
inline constexpr std::string_view kTlsNewestVersion = "1.3";
inline constexpr std::string_view kTlsVersions = "1.2 and 1.3";
#else
inline constexpr std::string_view kTlsNewestVersion = "1.2";
inline constexpr std::string_view kTlsVersions = "1.2";
#endif

// The kernel's generator has no state of ours that a fork could double.
inline int tls_random(void*, unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got <= 0) return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    out += got;
    size -= static_cast<std::size_t>(got);
  }
  return 0;
}

#if MBEDTLS_VERSION_MAJOR >= 3

inline constexpr int kTlsBadVersion = MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION;

// Cheap after the first time.
inline bool tls_start_library() { return psa_crypto_init() == PSA_SUCCESS; }

inline const unsigned char* tls_pem_buffer(const mbedtls_pem_context& pem, std::size_t& size) {
  return mbedtls_pem_get_buffer(&pem, &size);
}

inline int tls_parse_key(mbedtls_pk_context* key, const unsigned char* text, std::size_t size) {
  return mbedtls_pk_parse_key(key, text, size, nullptr, 0, tls_random, nullptr);
}

inline bool tls_is_pair(const mbedtls_pk_context* certified, const mbedtls_pk_context* key) {
  return mbedtls_pk_check_pair(certified, key, tls_random, nullptr) == 0;
}

inline void tls_require_1_2(mbedtls_ssl_config* config) {
  mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
}

// No function tells it: 3.6 has none either.
inline std::uint8_t tls_received_alert(const mbedtls_ssl_context& ssl) {
  return ssl.MBEDTLS_PRIVATE(in_msg)[1];
}

// A ticket that came in place of data: nothing to do but to go on.
inline bool tls_goes_on(int code) { return code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET; }

#else

inline constexpr int kTlsBadVersion = MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION;

inline bool tls_start_library() { return true; }

inline const unsigned char* tls_pem_buffer(const mbedtls_pem_context& pem, std::size_t& size) {
  size = pem.buflen;
  return pem.buf;
}

inline int tls_parse_key(mbedtls_pk_context* key, const unsigned char* text, std::size_t size) {
  return mbedtls_pk_parse_key(key, text, size, nullptr, 0);
}

inline bool tls_is_pair(const mbedtls_pk_context* certified, const mbedtls_pk_context* key) {
  return mbedtls_pk_check_pair(certified, key) == 0;
}

inline constexpr int kTlsSignatureHashes[] = {MBEDTLS_MD_SHA512, MBEDTLS_MD_SHA384,
                                              MBEDTLS_MD_SHA256, MBEDTLS_MD_NONE};

inline constexpr mbedtls_ecp_group_id kTlsCurves[] = {
    MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
    MBEDTLS_ECP_DP_SECP521R1,  MBEDTLS_ECP_DP_BP256R1,   MBEDTLS_ECP_DP_BP384R1,
    MBEDTLS_ECP_DP_BP512R1,    MBEDTLS_ECP_DP_NONE};

// 2.28 would by default take TLS 1.0, and SHA-1 in the signature over the key exchange; and ask for
// the slowest curve first.
inline void tls_require_1_2(mbedtls_ssl_config* config) {
  mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  mbedtls_ssl_conf_sig_hashes(config, kTlsSignatureHashes);
  mbedtls_ssl_conf_curves(config, kTlsCurves);
}

inline std::uint8_t tls_received_alert(const mbedtls_ssl_context& ssl) { return ssl.in_msg[1]; }

inline bool tls_goes_on(int) { return false; }

#endif

}  // namespace tunnel
