#include "tunnel/tls/credentials.h"

#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include "base/base64.h"
#include "base/shortage.h"
#include "tunnel/armour.h"
#include "tunnel/tls/own_files.h"
#include "tunnel/tls/text.h"

namespace tunnel {
namespace {

using io::Reason;
using io::Stage;

constexpr std::string_view kBeginCertificate = "-----BEGIN CERTIFICATE-----";

base::Failure<Reason> refuse(Stage stage, std::string text) {
  return {Reason{Reason::Kind::refused, stage, std::move(text)}};
}

// What cannot be read now may be as good as it was.
base::Failure<Reason> unread(Stage stage, const std::string& what, const base::Problem& why) {
  return {Reason{io::kind_of(why.shortage, Reason::Kind::refused), stage, what + why.text}};
}

base::Failure<Reason> no_memory() {
  return {Reason{Reason::Kind::exhausted, Stage::handshake, "no memory for TLS"}};
}

base::Failure<Reason> unclear(Stage stage, const std::string& what, int code) {
  if (code == GNUTLS_E_MEMORY_ERROR) return no_memory();
  return refuse(stage, what + " cannot be understood (" + tls_error_text(code) + ")");
}

// All objects of one kind in a file of PEM; an error of GnuTLS if one of them is not understood.
template <typename Owned, typename Import>
int take_all(std::vector<Owned>& to, std::string_view text, Import import) {
  typename Owned::pointer* list = nullptr;
  unsigned size = 0;
  const gnutls_datum_t data = tls_datum(base::bytes_of(text));
  const int code = import(&list, &size, &data, GNUTLS_X509_FMT_PEM, 0);
  if (code < 0) return code;
  for (unsigned i = 0; i < size; ++i) to.emplace_back(list[i]);
  gnutls_free(list);
  return to.empty() ? GNUTLS_E_NO_CERTIFICATE_FOUND : GNUTLS_E_SUCCESS;
}

bool has_passphrase(const Armour& key) {
  return key.label.starts_with("ENCRYPTED") || key.body.find("ENCRYPTED") != std::string_view::npos;
}

// The text is decoded here, since GnuTLS would leave it behind in memory.
int import_key(gnutls_x509_privkey_t to, const Armour& armour) {
  const auto der = base::decode_secret(armour.body);
  if (!der) return GNUTLS_E_BASE64_DECODING_ERROR;
  const gnutls_datum_t data = tls_datum(der->bytes());
  if (armour.label != "PRIVATE KEY") {
    return gnutls_x509_privkey_import(to, &data, GNUTLS_X509_FMT_DER);
  }
  return gnutls_x509_privkey_import_pkcs8(to, &data, GNUTLS_X509_FMT_DER, nullptr,
                                          GNUTLS_PKCS_PLAIN);
}

}  // namespace

base::Result<std::unique_ptr<TlsCredentials>, Reason> TlsCredentials::understand(TlsFiles files) {
  std::unique_ptr<TlsCredentials> credentials(new TlsCredentials(std::move(files.paths)));
  auto done = credentials->make();
  if (done) done = credentials->take_ca(files.ca);
  if (done) done = credentials->take_crl(files.crl);
  if (done) done = credentials->build_trust();
  if (done) done = credentials->take_own(files.certificate, files.key);
  if (done) return credentials;
  Reason why = done.error();
  why.text.insert(0, kOwnFilesFail);
  return base::Failure{std::move(why)};
}

TlsCredentials::Complaint TlsCredentials::make() {
  settings_ = tls_make<TlsSettings>(gnutls_certificate_allocate_credentials);
  if (settings_ == nullptr) return no_memory();
  return true;
}

TlsCredentials::Complaint TlsCredentials::take_ca(const Content& file) {
  if (!file) return unread(Stage::handshake, "the CA certificate: ", file.error());
  if (!file->has_value()) {
    return refuse(Stage::handshake, "the CA certificate " + paths_.ca +
                                        " is missing: without it no server can be trusted");
  }
  return parse_cas((*file)->text());
}

// A CA less is trust less, and the others of a bundle are still good for what they signed.
TlsCredentials::Complaint TlsCredentials::parse_cas(std::string_view text) {
  const std::string what = "the CA certificate " + paths_.ca;
  std::size_t count = 0;
  for (std::size_t at = text.find(kBeginCertificate); at != text.npos;) {
    const std::size_t next = text.find(kBeginCertificate, at + 1);
    const std::size_t end = next == text.npos ? text.size() : next;
    const int code = take_all(ca_, text.substr(at, end - at), gnutls_x509_crt_list_import2);
    if (code == GNUTLS_E_MEMORY_ERROR) return no_memory();
    ++count;
    if (code < 0) {
      left_out_.push_back("certificate " + std::to_string(count) + " (" + tls_error_text(code) +
                          ")");
    }
    at = next;
  }
  if (count == 0) return unclear(Stage::handshake, what, GNUTLS_E_NO_CERTIFICATE_FOUND);
  if (left_out_.empty()) return true;
  std::string all;
  for (const std::string& one : left_out_) all += (all.empty() ? "" : ", ") + one;
  if (ca_.empty()) return refuse(Stage::handshake, what + " cannot be understood: " + all);
  note_ = "of " + paths_.ca + ", a part is not used: " + all;
  return true;
}

TlsCredentials::Complaint TlsCredentials::take_crl(const Content& file) {
  if (!file) return unread(Stage::handshake, "the CRL: ", file.error());
  if (!file->has_value()) return true;
  const int code = take_all(crl_, (*file)->text(), gnutls_x509_crl_list_import2);
  if (code < 0) return unclear(Stage::handshake, "the CRL " + paths_.crl, code);
  return true;
}

TlsCredentials::Complaint TlsCredentials::build_trust() {
  gnutls_x509_trust_list_t list = nullptr;
  if (gnutls_x509_trust_list_init(&list, 0) < 0) return no_memory();
  trust_.reset(list);
  std::vector<gnutls_x509_crt_t> cas;
  cas.reserve(ca_.size());
  for (const TlsCertificate& one : ca_) cas.push_back(one.get());
  std::vector<gnutls_x509_crl_t> crls;
  crls.reserve(crl_.size());
  for (const TlsCrl& one : crl_) crls.push_back(one.get());
  const auto count = [](const auto& all) { return static_cast<unsigned>(all.size()); };
  if (gnutls_x509_trust_list_add_cas(list, cas.data(), count(cas), 0) !=
          static_cast<int>(cas.size()) ||
      gnutls_x509_trust_list_add_crls(list, crls.data(), count(crls), 0, 0) !=
          static_cast<int>(crls.size())) {
    return no_memory();
  }
  return true;
}

TlsCredentials::Complaint TlsCredentials::take_own(const Content& certificate, const Content& key) {
  if (!certificate) {
    return unread(Stage::authentication, "our certificate: ", certificate.error());
  }
  if (!key) return unread(Stage::authentication, "", key.error());
  if (!certificate->has_value() || !key->has_value()) {
    if (!certificate->has_value()) missing_ = paths_.certificate;
    if (!key->has_value()) missing_ += (missing_.empty() ? "" : " and ") + paths_.key;
    return true;
  }
  const std::string name = "our certificate " + paths_.certificate;
  const int code = take_all(certificate_, (*certificate)->text(), gnutls_x509_crt_list_import2);
  if (code < 0) return unclear(Stage::authentication, name, code);
  auto taken = take_key(**key);
  if (taken) taken = check_times();
  has_certificate_ = taken.ok();
  return taken;
}

TlsCredentials::Complaint TlsCredentials::take_key(const base::Secret& file) {
  const std::string what = "the private key " + paths_.key;
  const TlsKey key = tls_make<TlsKey>(gnutls_x509_privkey_init);
  if (key == nullptr) return no_memory();
  const auto armour = find_key_armour(file.text());
  if (armour && has_passphrase(*armour)) {
    return refuse(Stage::authentication,
                  what + " is protected by a passphrase, and there is nobody to ask for it");
  }
  int code = armour ? import_key(key.get(), *armour) : GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR;
  if (code < 0) return unclear(Stage::authentication, what, code);
  std::vector<gnutls_x509_crt_t> chain;
  chain.reserve(certificate_.size());
  for (const TlsCertificate& one : certificate_) chain.push_back(one.get());
  code = gnutls_certificate_set_x509_key(settings_.get(), chain.data(),
                                         static_cast<int>(chain.size()), key.get());
  if (code >= 0) return true;
  const std::string name =
      "our certificate " + paths_.certificate + " (" + tls_certificate_text(chain.front()) + ")";
  if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
    return refuse(Stage::authentication, name + " is not of the private key " + paths_.key);
  }
  if (code == GNUTLS_E_MEMORY_ERROR) return no_memory();
  return refuse(Stage::authentication, name + " cannot be used (" + tls_error_text(code) + ")");
}

TlsCredentials::Complaint TlsCredentials::check_times() const {
  const std::time_t now = std::time(nullptr);
  for (const TlsCertificate& one : certificate_) {
    const std::string name = "our certificate " + paths_.certificate;
    const std::string which =
        (&one == &certificate_.front() ? name
                                       : "an intermediate certificate in " + paths_.certificate) +
        " (" + tls_certificate_text(one.get()) + ") ";
    const std::time_t until = gnutls_x509_crt_get_expiration_time(one.get());
    const std::time_t from = gnutls_x509_crt_get_activation_time(one.get());
    if (until < now)
      return refuse(Stage::authentication, which + "expired on " + tls_time_text(until));
    if (from > now || from < 0) {
      return refuse(Stage::authentication, which + "is valid only from " + tls_time_text(from));
    }
  }
  return true;
}

void TlsCredentials::forget_key() { gnutls_certificate_free_keys(settings_.get()); }

std::string TlsCredentials::shown() const {
  if (!has_certificate_) return "it was shown no certificate, since there is no " + missing_;
  std::string shown = "it was shown " + paths_.certificate + ": " +
                      tls_certificate_text(certificate_.front().get()) +
                      "; for tls_allowed_dn_list, `virt-pki-query-dn " + paths_.certificate +
                      "` prints its subject";
  constexpr unsigned kUse = GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT;
  unsigned use = 0;
  const bool limited =
      gnutls_x509_crt_get_key_usage(certificate_.front().get(), &use, nullptr) >= 0;
  if (!limited || (use & kUse) == kUse) return shown;
  return shown +
         ", with a key usage that lacks digital signature or key encipherment, of which "
         "libvirt may require both";
}

}  // namespace tunnel
