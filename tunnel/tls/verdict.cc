#include "tunnel/tls/verdict.h"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>

#include "base/text.h"
#include "tunnel/tls/text.h"

namespace tunnel {
namespace {

struct FlagWords {
  std::uint32_t flag;
  std::string_view text;
};

constexpr FlagWords kWords[] = {
    {MBEDTLS_X509_BADCERT_MISSING, "was not sent"},
    {MBEDTLS_X509_BADCERT_SKIP_VERIFY, "was not checked"},
    {MBEDTLS_X509_BADCERT_OTHER, "failed a check that mbedTLS does not name"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE, "has a key usage that does not allow this use"},
    {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE,
     "has an extended key usage that does not allow a TLS server"},
    {MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
     "has a Netscape certificate type that does not allow this use"},
    {MBEDTLS_X509_BADCERT_BAD_MD, "is signed with a hash that is not safe, such as SHA-1"},
    {MBEDTLS_X509_BADCERT_BAD_PK, "is signed with a type of key that is not accepted"},
    {MBEDTLS_X509_BADCERT_BAD_KEY,
     "is signed with a key that is not accepted: RSA must have 2048 bits or more"},
};

bool same(const mbedtls_x509_buf& a, const mbedtls_x509_buf& b) {
  return std::equal(a.p, a.p + a.len, b.p, b.p + b.len);
}

const mbedtls_x509_crl_entry* revocation_of(const mbedtls_x509_crl& crl,
                                            const mbedtls_x509_crt& certificate) {
  for (const mbedtls_x509_crl_entry* at = &crl.entry; at != nullptr && at->serial.len != 0;
       at = at->next) {
    if (same(at->serial, certificate.serial)) return at;
  }
  return nullptr;
}

}  // namespace

TlsHost tls_host(std::string_view host) {
  TlsHost result;
  const std::string address(host.substr(0, host.find('%')));
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, std::string(host).c_str(), bytes.data()) == 1) {
    result.address.assign(bytes.begin(), bytes.begin() + 4);
  } else if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) {
    result.address.assign(bytes.begin(), bytes.end());
    host = address;
  } else if (host.size() > 1 && host.ends_with('.')) {
    host.remove_suffix(1);
  }
  result.name = host;
  return result;
}

TlsVerdict::TlsVerdict(TlsHost host, const TlsCredentials& credentials)
    : host_(std::move(host)), credentials_(credentials) {}

void TlsVerdict::judge(const mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags) {
  std::string which = "an intermediate certificate of the server";
  if (depth == 0) {
    which = "the server's certificate";
    leaf_ = tls_certificate_text(certificate);
    complete_ = true;
    flags &= ~std::uint32_t{MBEDTLS_X509_BADCERT_CN_MISMATCH};
    const TlsNames names = tls_names(certificate);
    const bool named = host_.address.empty() ? tls_is_for_name(names, host_.name)
                                             : tls_lists_address(names, host_.address);
    if (!named) flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if (auto complaint = constraints_.complaint(names, host_.name, host_.address)) {
      constraint_ = std::move(*complaint);
      flags |= MBEDTLS_X509_BADCERT_OTHER;
    }
  } else {
    constraints_.add({certificate.v3_ext.p, certificate.v3_ext.len});
    for (const mbedtls_x509_crt* ca = credentials_.ca(); ca != nullptr; ca = ca->next) {
      if (ca == &certificate) which = "the CA certificate in " + credentials_.paths().ca;
    }
  }
  judged_ |= flags;
  if (flags != 0) add(std::move(which), &certificate, flags);
}

void TlsVerdict::conclude(std::uint32_t flags) {
  constexpr std::uint32_t kNoResult = 0xffffffff;
  if (flags == kNoResult) return;
  const std::uint32_t rest = flags & ~judged_;
  judged_ |= rest;
  if (rest != 0) add("the server's certificate", nullptr, rest);
}

void TlsVerdict::add(std::string which, const mbedtls_x509_crt* certificate, std::uint32_t flags) {
  TlsFailure failure;
  failure.certificate = std::move(which);
  failure.says = certificate == nullptr ? leaf_ : tls_certificate_text(*certificate);
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    const std::uint32_t flag = std::uint32_t{1} << bit;
    if ((flags & flag) != 0) failure.checks.push_back(check_text(certificate, flag));
  }
  failures_.push_back(std::move(failure));
}

std::string TlsVerdict::check_text(const mbedtls_x509_crt* certificate, std::uint32_t flag) const {
  if (flag == MBEDTLS_X509_BADCERT_OTHER && !constraint_.empty()) return constraint_;
  for (const FlagWords& words : kWords) {
    if (words.flag == flag) return std::string(words.text);
  }
  if (flag == MBEDTLS_X509_BADCERT_CN_MISMATCH) {
    return std::string("is not for the ") + (host_.address.empty() ? "name " : "address ") +
           base::shortened(host_.name);
  }
  if (flag == MBEDTLS_X509_BADCERT_NOT_TRUSTED) return untrusted_text(certificate);
  if (flag == MBEDTLS_X509_BADCERT_EXPIRED && certificate != nullptr) {
    return "expired on " + tls_time_text(certificate->valid_to);
  }
  if (flag == MBEDTLS_X509_BADCERT_FUTURE && certificate != nullptr) {
    return "is valid only from " + tls_time_text(certificate->valid_from);
  }
  return revocation_text(certificate, flag);
}

std::string TlsVerdict::untrusted_text(const mbedtls_x509_crt* certificate) const {
  const std::string& file = credentials_.paths().ca;
  for (const mbedtls_x509_crt* ca = credentials_.ca(); ca != nullptr && certificate != nullptr;
       ca = ca->next) {
    if (same(ca->subject_raw, certificate->issuer_raw)) {
      return "names an issuer that is in " + file +
             ", but was not signed with its key, or that one is no CA";
    }
  }
  return "was not signed by a CA in " + file;
}

const mbedtls_x509_crl* TlsVerdict::crl_for(const mbedtls_x509_crt* certificate) const {
  for (const mbedtls_x509_crl* at = credentials_.crl(); at != nullptr && certificate != nullptr;
       at = at->next) {
    if (same(at->issuer_raw, certificate->issuer_raw)) return at;
  }
  return nullptr;
}

std::string TlsVerdict::revocation_text(const mbedtls_x509_crt* certificate,
                                        std::uint32_t flag) const {
  const mbedtls_x509_crl* crl = crl_for(certificate);
  const std::string file = "the CRL " + credentials_.paths().crl;
  const std::string unknown = "may be revoked or not: " + file + " ";
  if (flag == MBEDTLS_X509_BADCERT_REVOKED) {
    const auto* entry = crl == nullptr ? nullptr : revocation_of(*crl, *certificate);
    if (entry == nullptr) return "is revoked by " + file;
    return "was revoked on " + tls_time_text(entry->revocation_date) + " by " + file;
  }
  if (flag == MBEDTLS_X509_BADCRL_EXPIRED) {
    return unknown + "was to be replaced by " +
           (crl == nullptr ? "now" : tls_time_text(crl->next_update));
  }
  if (flag == MBEDTLS_X509_BADCRL_FUTURE) {
    return unknown + "is valid only from " +
           (crl == nullptr ? "later" : tls_time_text(crl->this_update));
  }
  if (flag == MBEDTLS_X509_BADCRL_NOT_TRUSTED) {
    return unknown + "was not signed by the CA that it names, or that one may not sign CRLs";
  }
  if (flag == MBEDTLS_X509_BADCRL_BAD_MD) {
    return unknown + "is signed with a hash that is not safe";
  }
  if (flag == MBEDTLS_X509_BADCRL_BAD_PK || flag == MBEDTLS_X509_BADCRL_BAD_KEY) {
    return unknown + "is signed with a key that is not accepted";
  }
  return "failed a check that has no name";
}

std::string TlsVerdict::text() const {
  std::string out;
  for (const TlsFailure& failure : failures_) {
    if (!out.empty()) out += "; ";
    out += failure.certificate;
    for (std::size_t i = 0; i < failure.checks.size(); ++i) {
      out += (i == 0 ? " " : ", and ") + failure.checks[i];
    }
    out += " (" + failure.says + ")";
  }
  return out;
}

}  // namespace tunnel
