// What is wrong with the certificates that a server showed. GnuTLS decides, by the rules by which
// libvirt has it decide: where virsh accepts a server the gate does. On top of these, a CRL must be
// good itself, the purpose of a certificate must allow a TLS server, RSA must have 2048 bits, and
// constraints of names hold for the host's name too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "tunnel/tls/credentials.h"
#include "tunnel/tls/library.h"

namespace tunnel {

// Whom a certificate must name.
struct TlsHost {
  std::string name;
  base::Buffer address;  // 4 or 16 bytes if `name` is an IP address, else empty

  // The name, or null for an address, which must not be sent to the server as a name, since some
  // end the handshake for it.
  [[nodiscard]] const char* dns_name() const { return address.empty() ? name.c_str() : nullptr; }
};

// A trailing dot of a DNS name and the zone of an IPv6 address are dropped: no certificate has
// them.
TlsHost tls_host(std::string_view host);

// What is wrong with one certificate.
struct TlsFailure {
  std::string certificate;          // "the server's certificate"
  std::vector<std::string> checks;  // "expired on ..."
  std::string says;                 // what the certificate says itself
};

class TlsVerdict {
 public:
  // The credentials outlive the verdict.
  TlsVerdict(TlsHost host, const TlsCredentials& credentials);

  // Has GnuTLS check the chain that a server showed, its own certificate first, and finds words for
  // what is wrong.
  void judge(const TlsChain& chain);
  // The same with what GnuTLS has found: bits of gnutls_certificate_status_t.
  void judge(const TlsChain& chain, unsigned status);

  [[nodiscard]] const TlsHost& host() const { return host_; }
  // Whether there was a chain at all.
  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] const std::vector<TlsFailure>& failures() const { return failures_; }
  // All that failed, in one line.
  [[nodiscard]] std::string text() const;

 private:
  // A certificate on the way to a CA, and the one that signed it; null: none is known, or none is
  // needed since it is a CA of ours.
  struct Step {
    gnutls_x509_crt_t certificate;
    gnutls_x509_crt_t issuer;
    bool is_ca;
  };
  using Way = std::vector<Step>;  // from the server's own

  [[nodiscard]] Way way_to_ca(const TlsChain& chain) const;
  [[nodiscard]] gnutls_x509_crt_t ca_above(gnutls_x509_crt_t certificate) const;
  void check_times(const Step& step, TlsFailure& to);
  void check_signature(const Step& step, TlsFailure& to);
  void check_crls(const Step& step, unsigned status, TlsFailure& to);
  void check_crl(gnutls_x509_crl_t crl, gnutls_x509_crt_t issuer, TlsFailure& to) const;
  void check_host(const Way& way, TlsFailure& to) const;
  [[nodiscard]] bool is_permitted(const Way& way) const;

  TlsHost host_;
  const TlsCredentials& credentials_;
  unsigned explained_ = 0;
  bool complete_ = false;
  std::vector<TlsFailure> failures_;
};

}  // namespace tunnel
