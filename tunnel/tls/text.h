// What TLS and its certificates say, in words for people. Foreign text in the results is printable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "tunnel/tls/library.h"

namespace tunnel {

// "certificate_expired" for 45, as RFC 8446, section 6, and its forerunners name them; "alert 250"
// for a number without a name.
std::string tls_alert_name(std::uint8_t alert);

// Whether a server that sends this alert complains of our certificate, or of its absence.
bool tls_alert_blames_us(std::uint8_t alert);

// mbedTLS's own words for one of its error codes.
std::string tls_error_text(int code);

// "2026-11-03 09:00:00 UTC".
std::string tls_time_text(const mbedtls_x509_time& time);

// A distinguished name in DER, in quotation marks.
std::string tls_name_text(base::Bytes name);

// Subject, issuer, subject alternative names, and how long it is valid.
std::string tls_certificate_text(const mbedtls_x509_crt& certificate);

}  // namespace tunnel
