#include "tunnel/tls/text.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <arpa/inet.h>

#include "base/text.h"

namespace tunnel {
namespace {

constexpr std::pair<std::uint8_t, std::string_view> kAlerts[] = {
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {21, "decryption_failed"},
    {22, "record_overflow"},
    {30, "decompression_failure"},
    {40, "handshake_failure"},
    {41, "no_certificate"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {60, "export_restriction"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required"},
    {120, "no_application_protocol"},
};

constexpr std::size_t kNamesShown = 12;
constexpr std::size_t kNameLimit = 256;

std::string address_text(base::Bytes address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = address.size() == 4 ? AF_INET : AF_INET6;
  if (address.size() != 4 && address.size() != 16) return "of no known kind";
  if (inet_ntop(family, address.data(), text.data(), text.size()) == nullptr) return "unreadable";
  return text.data();
}

std::string alternative_name_text(int kind, const std::string& value) {
  const auto text = [&] { return base::shortened(value, kNameLimit); };
  switch (kind) {
    case GNUTLS_SAN_RFC822NAME:
      return "e-mail " + text();
    case GNUTLS_SAN_DNSNAME:
      return "DNS " + text();
    case GNUTLS_SAN_URI:
      return "URI " + text();
    case GNUTLS_SAN_IPADDRESS:
      return "IP " + address_text(base::bytes_of(value));
    default:
      return "one of another kind";
  }
}

// The kind of name, or GnuTLS's error.
int alternative_name(gnutls_x509_crt_t certificate, unsigned number, std::string& value) {
  value.resize(2 * kNameLimit);
  for (;;) {
    std::size_t size = value.size();
    const int kind =
        gnutls_x509_crt_get_subject_alt_name(certificate, number, value.data(), &size, nullptr);
    if (kind == GNUTLS_E_SHORT_MEMORY_BUFFER && size > value.size()) {
      value.resize(size);
      continue;
    }
    value.resize(kind < 0 ? 0 : std::min(size, value.size()));
    return kind;
  }
}

std::string alternative_names_text(gnutls_x509_crt_t certificate) {
  std::string out;
  std::string value;
  for (unsigned number = 0;; ++number) {
    const int kind = alternative_name(certificate, number, value);
    if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return out.empty() ? "none" : out;
    if (number == kNamesShown) return out + ", ...";
    if (!out.empty()) out += ", ";
    if (kind < 0) return out + "unreadable";
    out += alternative_name_text(kind, value);
  }
}

using NameOf = int (*)(gnutls_x509_crt_t, gnutls_datum_t*, unsigned);

std::string name_text(NameOf name_of, gnutls_x509_crt_t certificate) {
  gnutls_datum_t name{};
  // The order of the certificate, as gnutls_x509_crt_get_dn() has it.
  const int code = name_of(certificate, &name, GNUTLS_X509_DN_FLAG_COMPAT);
  if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return "\"\"";
  if (code != GNUTLS_E_SUCCESS) return "unreadable";
  const std::string text(reinterpret_cast<const char*>(name.data), name.size);
  gnutls_free(name.data);
  return '"' + base::shortened(text, kNameLimit) + '"';
}

}  // namespace

std::string tls_alert_name(std::uint8_t alert) {
  for (const auto& [number, name] : kAlerts) {
    if (number == alert) return std::string(name);
  }
  return "alert " + std::to_string(alert);
}

bool tls_alert_blames_us(std::uint8_t alert) {
  return (alert >= 41 && alert <= 46) || alert == 48 || alert == 49 || alert == 116;
}

std::string tls_error_text(int code) {
  return "GnuTLS " + std::to_string(code) + ": " + gnutls_strerror(code);
}

std::string tls_time_text(std::time_t time) {
  std::tm parts{};
  std::array<char, 96> text{};
  if (time < 0 || gmtime_r(&time, &parts) == nullptr) return "a time that cannot be told";
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

std::string tls_certificate_text(gnutls_x509_crt_t certificate) {
  return "subject " + name_text(gnutls_x509_crt_get_dn3, certificate) + ", issuer " +
         name_text(gnutls_x509_crt_get_issuer_dn3, certificate) + ", alternative names " +
         alternative_names_text(certificate) + ", valid from " +
         tls_time_text(gnutls_x509_crt_get_activation_time(certificate)) + " to " +
         tls_time_text(gnutls_x509_crt_get_expiration_time(certificate));
}

}  // namespace tunnel
