// What TLS and its certificates say, in words for people. Text of a certificate stays as it is: who
// shows it makes it printable.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

#include "tunnel/tls/library.h"

namespace tunnel {

// "certificate_expired" for 45, as RFC 8446, section 6, and its forerunners name them; "alert 250"
// for a number without a name.
std::string tls_alert_name(std::uint8_t alert);

// Whether a server that sends this alert complains of our certificate, or of its absence.
bool tls_alert_blames_us(std::uint8_t alert);

// GnuTLS's own words for one of its error codes.
std::string tls_error_text(int code);

// "2026-11-03 09:00:00 UTC".
std::string tls_time_text(std::time_t time);

// Subject, issuer, subject alternative names, and how long it is valid. Names are in the form in
// which libvirtd has them, as `virt-pki-query-dn` prints them and tls_allowed_dn_list takes them.
std::string tls_certificate_text(gnutls_x509_crt_t certificate);

}  // namespace tunnel
