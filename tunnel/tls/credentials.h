// The certificates and the key of one connection, read and understood: whom we trust, and who we
// are.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/shortage.h"
#include "tunnel/io/stream.h"
#include "tunnel/tls/files.h"
#include "tunnel/tls/library.h"

namespace tunnel {

class TlsCredentials {
 public:
  // A CA must be there; the CRL need not, nor certificate and key, without which the server is left
  // to decide. What is there must be whole: each CRL and each certificate of our chain understood,
  // our certificate valid today and of our key. Of several CAs those that cannot be understood are
  // left out, as note() says, unless none is left. The stage of the reason is `handshake` for what
  // concerns the server's certificate, `authentication` for ours.
  static base::Result<std::unique_ptr<TlsCredentials>, io::Reason> understand(TlsFiles files);
  ~TlsCredentials();
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  [[nodiscard]] const TlsPaths& paths() const { return paths_; }
  [[nodiscard]] mbedtls_x509_crt* ca() { return &ca_; }
  [[nodiscard]] const mbedtls_x509_crt* ca() const { return &ca_; }
  // Null when there is none.
  [[nodiscard]] mbedtls_x509_crl* crl() { return has_crl_ ? &crl_ : nullptr; }
  [[nodiscard]] const mbedtls_x509_crl* crl() const { return has_crl_ ? &crl_ : nullptr; }

  [[nodiscard]] bool has_certificate() const { return has_certificate_; }
  [[nodiscard]] mbedtls_x509_crt* certificate() { return &certificate_; }
  [[nodiscard]] mbedtls_pk_context* key() { return &key_; }

  // What the log should say of them; empty: nothing.
  [[nodiscard]] const std::string& note() const { return note_; }

  // Wipes the key, which a connection needs only to come about.
  void forget_key();

  // Which certificate we showed, or why none: for the error of a server that does not want us.
  [[nodiscard]] std::string shown() const;

 private:
  explicit TlsCredentials(TlsPaths paths);
  using Complaint = base::Result<bool, io::Reason>;
  using Content = base::Result<std::optional<base::Secret>, base::Problem>;
  Complaint take_ca(const Content& file);
  Complaint parse_cas(std::string_view text, const base::Secret& file);
  Complaint take_crl(Content& file);
  Complaint take_own(const Content& certificate, const Content& key);
  Complaint check_own();

  TlsPaths paths_;
  mbedtls_x509_crt ca_;
  mbedtls_x509_crl crl_;
  mbedtls_x509_crt certificate_;
  mbedtls_pk_context key_;
  bool has_crl_ = false;
  bool has_certificate_ = false;
  std::string missing_;
  std::vector<std::string> left_out_;
  std::string note_;
};

}  // namespace tunnel
