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

  [[nodiscard]] const TlsPaths& paths() const { return paths_; }
  [[nodiscard]] const TlsChain& ca() const { return ca_; }
  [[nodiscard]] const std::vector<TlsCrl>& crl() const { return crl_; }
  // Both of them.
  [[nodiscard]] gnutls_x509_trust_list_t trust() const { return trust_.get(); }

  [[nodiscard]] bool has_certificate() const { return has_certificate_; }
  [[nodiscard]] const TlsChain& certificate() const { return certificate_; }
  // For a session: our certificate and key, if there are any.
  [[nodiscard]] gnutls_certificate_credentials_t settings() { return settings_.get(); }

  // What the log should say of them; empty: nothing.
  [[nodiscard]] const std::string& note() const { return note_; }

  // Wipes the key, which a connection needs only to come about.
  void forget_key();

  // Which certificate we showed, or why none: for the error of a server that does not want us.
  [[nodiscard]] std::string shown() const;

 private:
  struct FreeTrust {
    // The certificates and CRLs have owners already.
    void operator()(gnutls_x509_trust_list_t list) const { gnutls_x509_trust_list_deinit(list, 0); }
  };
  using Trust = std::unique_ptr<std::remove_pointer_t<gnutls_x509_trust_list_t>, FreeTrust>;

  explicit TlsCredentials(TlsPaths paths) : paths_(std::move(paths)) {}
  using Complaint = base::Result<bool, io::Reason>;
  using Content = base::Result<std::optional<base::Secret>, base::Problem>;
  Complaint make();
  Complaint take_ca(const Content& file);
  Complaint parse_cas(std::string_view text);
  Complaint take_crl(const Content& file);
  Complaint build_trust();
  Complaint take_own(const Content& certificate, const Content& key);
  Complaint take_key(const base::Secret& file);
  Complaint check_times() const;

  TlsPaths paths_;
  TlsChain ca_;
  std::vector<TlsCrl> crl_;
  Trust trust_;
  TlsChain certificate_;
  TlsSettings settings_;
  bool has_certificate_ = false;
  std::string missing_;
  std::vector<std::string> left_out_;
  std::string note_;
};

}  // namespace tunnel
