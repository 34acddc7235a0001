#include "tunnel/tls/credentials.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/shortage.h"
#include "tunnel/tls/distinguished_name.h"
#include "tunnel/tls/names.h"
#include "tunnel/tls/own_files.h"
#include "tunnel/tls/text.h"

namespace tunnel {
namespace {

using io::Reason;
using io::Stage;

base::Failure<Reason> refuse(Stage stage, std::string text) {
  return {Reason{Reason::Kind::refused, stage, std::move(text)}};
}

// What cannot be read now may be as good as it was.
base::Failure<Reason> unread(Stage stage, const std::string& what, const base::Problem& why) {
  return {Reason{io::kind_of(why.shortage, Reason::Kind::refused), stage, what + why.text}};
}

// Types of key of RFC 8410 and RFC 4055, which both versions of mbedTLS meet with an error that
// names none.
std::string_view foreign_key_type(base::Bytes der) {
  static constexpr std::array<std::uint8_t, 5> kEd25519 = {0x06, 0x03, 0x2b, 0x65, 0x70};
  static constexpr std::array<std::uint8_t, 5> kEd448 = {0x06, 0x03, 0x2b, 0x65, 0x71};
  static constexpr std::array<std::uint8_t, 11> kRsaPss = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                           0xf7, 0x0d, 0x01, 0x01, 0x0a};
  const auto has = [&](const auto& oid) {
    return std::search(der.begin(), der.end(), oid.begin(), oid.end()) != der.end();
  };
  if (has(kEd25519)) return "Ed25519";
  if (has(kEd448)) return "Ed448";
  if (has(kRsaPss)) return "RSA-PSS";
  return "";
}

std::string_view foreign_key_type_of_pem(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kDashes = "-----";
  for (std::size_t at = text.find(kBegin); at != text.npos; at = text.find(kBegin, at)) {
    at += kBegin.size();
    const std::size_t body = text.find(kDashes, at);
    if (body == text.npos) return "";
    at = body + kDashes.size();
    const std::size_t end = text.find(kDashes, at);
    if (end == text.npos) return "";
    const std::string_view base64 = text.substr(at, end - at);
    // Decoded it is shorter; and no larger than a key that is wiped with the rest.
    base::Secret der(base64.size());
    std::size_t size = 0;
    if (mbedtls_base64_decode(der.data(), base64.size(), &size,
                              reinterpret_cast<const unsigned char*>(base64.data()),
                              base64.size()) == 0) {
      const std::string_view type = foreign_key_type({der.data(), size});
      if (!type.empty()) return type;
    }
    at = end;
  }
  return "";
}

std::string why_unreadable(const base::Secret& file, int code) {
  const std::string_view type = foreign_key_type_of_pem(base::text_of(file.terminated()));
  if (!type.empty()) {
    return "is " + std::string(type) + ", which mbedTLS cannot use; RSA and ECDSA can be used";
  }
  return "cannot be understood (" + tls_error_text(code) + ")";
}

constexpr const char* kBeginCertificate = "-----BEGIN CERTIFICATE-----";
constexpr const char* kEndCertificate = "-----END CERTIFICATE-----";

// With a NUL. mbedTLS takes a blank line behind the last CRL for a CRL that it cannot read.
std::size_t size_to_last_end(const base::Secret& file) {
  constexpr std::string_view kEnd = "-----END X509 CRL-----";
  const std::string_view text = base::text_of(file.terminated());
  const std::size_t end = text.rfind(kEnd);
  return end == text.npos ? text.size() : end + kEnd.size() + 1;
}

// A positive code counts what was left out of a chain: a trust that is not what the file says.
base::Result<bool, Reason> parse_chain(mbedtls_x509_crt* to, const base::Secret& file,
                                       const std::string& what, Stage stage) {
  const base::Bytes text = file.terminated();
  const int code = mbedtls_x509_crt_parse(to, text.data(), text.size());
  if (code == 0) return true;
  if (code < 0) return refuse(stage, what + " " + why_unreadable(file, code));
  const std::string_view type = foreign_key_type_of_pem(base::text_of(text));
  const std::string hint =
      type.empty() ? "" : " (" + std::string(type) + " is in it, which mbedTLS cannot use)";
  return refuse(stage,
                std::to_string(code) + " certificates in " + what + " cannot be understood" + hint);
}

// Constraints of names are checked by names.h, so that a certificate may insist on them.
int take_extension(void*, const mbedtls_x509_crt*, const mbedtls_x509_buf* oid, int,
                   const unsigned char*, const unsigned char*) {
  const bool known = tls_is_constraints_oid({oid->p, oid->len});
  return known ? 0 : MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE;
}

// Which certificate in PEM is not understood and why; it is added to `to` if it is.
std::optional<std::string> add_certificate(mbedtls_x509_crt* to, const std::string& pem) {
  mbedtls_pem_context block;
  mbedtls_pem_init(&block);
  std::size_t used = 0;
  int code = mbedtls_pem_read_buffer(&block, kBeginCertificate, kEndCertificate,
                                     reinterpret_cast<const unsigned char*>(pem.c_str()), nullptr,
                                     0, &used);
  std::string who;
  std::string_view type;
  if (code == 0) {
    std::size_t size = 0;
    const unsigned char* der = tls_pem_buffer(block, size);
    code = mbedtls_x509_crt_parse_der_with_ext_cb(to, der, size, 1, take_extension, nullptr);
    type = foreign_key_type({der, size});
    const base::Bytes subject = subject_in_der({der, size});
    if (!subject.empty()) who = tls_name_text(subject) + ": ";
  }
  mbedtls_pem_free(&block);
  if (code == 0) return std::nullopt;
  if (!type.empty()) return who + std::string(type) + " is in it, which mbedTLS cannot use";
  return who + tls_error_text(code);
}

}  // namespace

TlsCredentials::TlsCredentials(TlsPaths paths) : paths_(std::move(paths)) {
  mbedtls_x509_crt_init(&ca_);
  mbedtls_x509_crl_init(&crl_);
  mbedtls_x509_crt_init(&certificate_);
  mbedtls_pk_init(&key_);
}

TlsCredentials::~TlsCredentials() {
  mbedtls_pk_free(&key_);
  mbedtls_x509_crt_free(&certificate_);
  mbedtls_x509_crl_free(&crl_);
  mbedtls_x509_crt_free(&ca_);
}

base::Result<std::unique_ptr<TlsCredentials>, Reason> TlsCredentials::understand(TlsFiles files) {
  if (!tls_start_library()) {
    return base::Failure{Reason{Reason::Kind::system, Stage::handshake, "mbedTLS does not start"}};
  }
  std::unique_ptr<TlsCredentials> credentials(new TlsCredentials(files.paths));
  auto done = credentials->take_ca(files.ca);
  if (done) done = credentials->take_crl(files.crl);
  if (done) done = credentials->take_own(files.certificate, files.key);
  if (done) return credentials;
  Reason why = done.error();
  why.text.insert(0, kOwnFilesFail);
  return base::Failure{std::move(why)};
}

TlsCredentials::Complaint TlsCredentials::take_ca(const Content& file) {
  if (!file) return unread(Stage::handshake, "the CA certificate: ", file.error());
  if (!file->has_value()) {
    return refuse(Stage::handshake, "the CA certificate " + paths_.ca +
                                        " is missing: without it no server can be trusted");
  }
  return parse_cas(base::text_of((*file)->terminated()), **file);
}

// A CA less is trust less, and the others of a bundle are still good for what they signed.
TlsCredentials::Complaint TlsCredentials::parse_cas(std::string_view text,
                                                    const base::Secret& file) {
  const std::string what = "the CA certificate " + paths_.ca;
  std::size_t count = 0;
  for (std::size_t at = text.find(kBeginCertificate); at != text.npos;) {
    const std::size_t next = text.find(kBeginCertificate, at + 1);
    const std::size_t end = next == text.npos ? text.size() : next;
    const auto wrong = add_certificate(&ca_, std::string(text.substr(at, end - at)));
    ++count;
    if (wrong) left_out_.push_back("certificate " + std::to_string(count) + " (" + *wrong + ")");
    at = next;
  }
  if (count == 0) return parse_chain(&ca_, file, what, Stage::handshake);
  if (left_out_.empty()) return true;
  std::string all;
  for (const std::string& one : left_out_) all += (all.empty() ? "" : ", ") + one;
  if (left_out_.size() == count) {
    return refuse(Stage::handshake, what + " cannot be understood: " + all);
  }
  note_ = "of " + paths_.ca + ", a part is not used: " + all;
  return true;
}

TlsCredentials::Complaint TlsCredentials::take_crl(Content& file) {
  if (!file) return unread(Stage::handshake, "the CRL: ", file.error());
  if (!file->has_value()) return true;
  const std::size_t size = size_to_last_end(**file);
  (*file)->data()[size - 1] = 0;
  const int code = mbedtls_x509_crl_parse(&crl_, (*file)->data(), size);
  if (code != 0) {
    return refuse(Stage::handshake,
                  "the CRL " + paths_.crl + " cannot be understood (" + tls_error_text(code) + ")");
  }
  has_crl_ = true;
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
  auto parsed = parse_chain(&certificate_, **certificate, name, Stage::authentication);
  if (!parsed) return parsed;
  const base::Bytes text = (*key)->terminated();
  const int code = tls_parse_key(&key_, text.data(), text.size());
  if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || code == MBEDTLS_ERR_PK_PASSWORD_MISMATCH) {
    return refuse(Stage::authentication, "the private key " + paths_.key +
                                             " is protected by a passphrase, and there is nobody "
                                             "to ask for it");
  }
  if (code != 0) {
    return refuse(Stage::authentication,
                  "the private key " + paths_.key + " " + why_unreadable(**key, code));
  }
  return check_own();
}

TlsCredentials::Complaint TlsCredentials::check_own() {
  const std::string name = "our certificate " + paths_.certificate;
  if (!tls_is_pair(&certificate_.pk, &key_)) {
    return refuse(Stage::authentication, name + " (" + tls_certificate_text(certificate_) +
                                             ") is not of the private key " + paths_.key);
  }
  for (const mbedtls_x509_crt* at = &certificate_; at != nullptr; at = at->next) {
    const std::string which =
        (at == &certificate_ ? name : "an intermediate certificate in " + paths_.certificate) +
        " (" + tls_certificate_text(*at) + ") ";
    if (mbedtls_x509_time_is_past(&at->valid_to) != 0) {
      return refuse(Stage::authentication, which + "expired on " + tls_time_text(at->valid_to));
    }
    if (mbedtls_x509_time_is_future(&at->valid_from) != 0) {
      return refuse(Stage::authentication,
                    which + "is valid only from " + tls_time_text(at->valid_from));
    }
  }
  has_certificate_ = true;
  return true;
}

void TlsCredentials::forget_key() {
  mbedtls_pk_free(&key_);
  mbedtls_pk_init(&key_);
}

std::string TlsCredentials::shown() const {
  if (!has_certificate_) return "it was shown no certificate, since there is no " + missing_;
  std::string shown = "it was shown " + paths_.certificate + ": " +
                      tls_certificate_text(certificate_) +
                      "; for tls_allowed_dn_list, `virt-pki-query-dn " + paths_.certificate +
                      "` prints its subject";
  const unsigned use = MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_KEY_ENCIPHERMENT;
  if (mbedtls_x509_crt_check_key_usage(&certificate_, use) == 0) return shown;
  return shown +
         ", with a key usage that lacks digital signature or key encipherment, of which "
         "libvirt may require both";
}

}  // namespace tunnel
