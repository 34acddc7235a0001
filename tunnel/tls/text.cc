#include "tunnel/tls/text.h"

#include <array>
#include <cstdio>
#include <utility>

#include <arpa/inet.h>

#include "base/text.h"
#include "tunnel/tls/distinguished_name.h"
#include "tunnel/tls/names.h"

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

std::string alternative_name_text(const TlsNames::Alternative& one) {
  const auto text = [&] { return base::shortened(base::text_of(one.value), kNameLimit); };
  switch (one.kind) {
    case kEmail:
      return "e-mail " + text();
    case kDnsName:
      return "DNS " + text();
    case kUri:
      return "URI " + text();
    case kIpAddress:
      return "IP " + address_text(one.value);
    default:
      return "one of kind " + std::to_string(one.kind);
  }
}

std::string alternative_names_text(const TlsNames& names) {
  std::string out;
  std::size_t shown = 0;
  for (const TlsNames::Alternative& one : names.alternatives) {
    if (shown++ == kNamesShown) return out + ", ...";
    if (!out.empty()) out += ", ";
    out += alternative_name_text(one);
  }
  return out.empty() ? "none" : out;
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
  std::array<char, 160> words{};
  mbedtls_strerror(code, words.data(), words.size());
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "-0x%04x", static_cast<unsigned>(-code));
  return "mbedTLS " + std::string(number.data()) + ": " + words.data();
}

std::string tls_time_text(const mbedtls_x509_time& time) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02d %02d:%02d:%02d UTC", time.year, time.mon,
                time.day, time.hour, time.min, time.sec);
  return text.data();
}

std::string tls_name_text(base::Bytes name) {
  return '"' + base::shortened(distinguished_name(name), kNameLimit) + '"';
}

std::string tls_certificate_text(const mbedtls_x509_crt& certificate) {
  const mbedtls_x509_buf& issuer = certificate.issuer_raw;
  const TlsNames names = tls_names(certificate);
  return "subject " + tls_name_text(names.subject) + ", issuer " +
         tls_name_text({issuer.p, issuer.len}) + ", alternative names " +
         alternative_names_text(names) + ", valid from " + tls_time_text(certificate.valid_from) +
         " to " + tls_time_text(certificate.valid_to);
}

}  // namespace tunnel
