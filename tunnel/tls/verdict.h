// What is wrong with the certificates that a server showed. mbedTLS checks chain, dates, use and
// revocation of each. Names, addresses and constraints of names are checked by us, as names.h says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "tunnel/tls/credentials.h"
#include "tunnel/tls/library.h"
#include "tunnel/tls/names.h"

namespace tunnel {

// Whom a certificate must name.
struct TlsHost {
  std::string name;
  base::Buffer address;  // 4 or 16 bytes if `name` is an IP address, else empty

  // The name, or null for an address: for the check and the request of mbedTLS. An address must not
  // be sent to the server as a name, since some end the handshake for it.
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

  // To be called for each certificate of the chain, the server's own last, at depth 0. `flags` are
  // the checks that failed in mbedTLS; those that failed here take the place of those of names.
  void judge(const mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags);

  // To be called at the end with the sum of mbedTLS, in which there can be flags that no
  // certificate was judged by.
  void conclude(std::uint32_t flags);

  [[nodiscard]] const TlsHost& host() const { return host_; }
  // Whether the server's own certificate was judged at all.
  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] const std::vector<TlsFailure>& failures() const { return failures_; }
  // All that failed, in one line.
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::string check_text(const mbedtls_x509_crt* certificate,
                                       std::uint32_t flag) const;
  [[nodiscard]] std::string revocation_text(const mbedtls_x509_crt* certificate,
                                            std::uint32_t flag) const;
  [[nodiscard]] const mbedtls_x509_crl* crl_for(const mbedtls_x509_crt* certificate) const;
  [[nodiscard]] std::string untrusted_text(const mbedtls_x509_crt* certificate) const;
  void add(std::string which, const mbedtls_x509_crt* certificate, std::uint32_t flags);

  TlsHost host_;
  const TlsCredentials& credentials_;
  std::string leaf_;
  TlsNameConstraints constraints_;
  std::string constraint_;  // what the server's own breaks
  std::uint32_t judged_ = 0;
  bool complete_ = false;
  std::vector<TlsFailure> failures_;
};

}  // namespace tunnel
