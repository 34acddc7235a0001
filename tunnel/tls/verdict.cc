#include "tunnel/tls/verdict.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include <arpa/inet.h>

#include "base/text.h"
#include "tunnel/tls/text.h"

namespace tunnel {
namespace {

// libvirt has no CA in cacert.pem that is none, so that a server's own certificate is not trusted
// for being there.
constexpr unsigned kRules =
    GNUTLS_VERIFY_DO_NOT_ALLOW_SAME | GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM);

// GnuTLS follows no longer chain, and 3.7 does not look whether it is.
constexpr std::size_t kLongestChain = 16;

constexpr unsigned kUntrusted =
    GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA | GNUTLS_CERT_SIGNATURE_FAILURE;

struct FlagWords {
  unsigned flag;
  std::string_view text;
};

constexpr FlagWords kWords[] = {
    {GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE,
     "has a name that a CA above it does not permit, or is signed with a key that is not for "
     "certificates"},
    {GNUTLS_CERT_INSECURE_ALGORITHM,
     "is signed with a hash that is not safe, such as SHA-1, or has to do with a key that is too "
     "short: RSA must have 2048 bits or more"},
    {GNUTLS_CERT_PURPOSE_MISMATCH, "has an extended key usage that does not allow a TLS server"},
    {GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS, "has a critical extension that GnuTLS does not know"},
};

constexpr FlagWords kCrlWords[] = {
    {GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA | GNUTLS_CERT_SIGNATURE_FAILURE |
         GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE,
     "was not signed by the CA that it names, or that one may not sign CRLs"},
    {GNUTLS_CERT_INSECURE_ALGORITHM, "is signed with a hash or a key that is not safe"},
};

std::string words_of_gnutls(unsigned status) {
  gnutls_datum_t words{};
  if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0) < 0) {
    return "no words for it";
  }
  std::string text(reinterpret_cast<const char*>(words.data), words.size);
  gnutls_free(words.data);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
  return text;
}

void add_words(unsigned status, TlsFailure& to) {
  for (const FlagWords& words : kWords) {
    if ((status & words.flag) != 0) to.checks.emplace_back(words.text);
    status &= ~words.flag;
  }
  status &= ~unsigned{GNUTLS_CERT_INVALID};
  if (status != 0) to.checks.push_back("failed a check: " + words_of_gnutls(status));
}

bool issued(gnutls_x509_crt_t issuer, gnutls_x509_crt_t certificate) {
  return gnutls_x509_crt_check_issuer(certificate, issuer) != 0;
}

// What is wrong with the issuer's signature, whatever the time.
unsigned signature_status(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer) {
  unsigned status = 0;
  const unsigned rules = kRules | GNUTLS_VERIFY_DISABLE_TIME_CHECKS;
  const int code = gnutls_x509_crt_verify(certificate, &issuer, 1, rules, &status);
  return code < 0 ? unsigned{GNUTLS_CERT_SIGNATURE_FAILURE} : status;
}

// When a CRL has it that the certificate was revoked; -1: it has not.
std::time_t revocation_in(gnutls_x509_crl_t crl, gnutls_x509_crt_t certificate) {
  std::array<unsigned char, 64> wanted{};
  std::size_t wanted_size = wanted.size();
  if (gnutls_x509_crt_get_serial(certificate, wanted.data(), &wanted_size) < 0) return -1;
  gnutls_x509_crl_iter_t at = nullptr;
  std::time_t found = -1;
  for (;;) {
    std::array<unsigned char, 64> serial{};
    std::size_t size = serial.size();
    std::time_t when = -1;
    if (gnutls_x509_crl_iter_crt_serial(crl, &at, serial.data(), &size, &when) < 0) break;
    if (size == wanted_size && std::equal(serial.begin(), serial.begin() + size, wanted.begin())) {
      found = when;
      break;
    }
  }
  gnutls_x509_crl_iter_deinit(at);
  return found;
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

void TlsVerdict::judge(const TlsChain& chain) {
  if (chain.empty()) return;
  if (chain.size() > kLongestChain) {
    complete_ = true;
    failures_.push_back(
        {"the server's certificate",
         {"came with " + std::to_string(chain.size() - 1) + " others, and at most " +
          std::to_string(kLongestChain - 1) + " are looked at"},
         tls_certificate_text(chain.front().get())});
    return;
  }
  std::vector<gnutls_x509_crt_t> all;
  all.reserve(chain.size());
  for (const TlsCertificate& one : chain) all.push_back(one.get());
  std::string purpose = GNUTLS_KP_TLS_WWW_SERVER;
  gnutls_typed_vdata_st wanted{GNUTLS_DT_KEY_PURPOSE_OID,
                               reinterpret_cast<unsigned char*>(purpose.data()), 0};
  unsigned status = 0;
  const int code = gnutls_x509_trust_list_verify_crt2(credentials_.trust(), all.data(),
                                                      static_cast<unsigned>(all.size()), &wanted, 1,
                                                      kRules, &status, nullptr);
  judge(chain, code < 0 ? status | GNUTLS_CERT_INVALID : status);
}

void TlsVerdict::judge(const TlsChain& chain, unsigned status) {
  complete_ = true;
  const Way way = way_to_ca(chain);
  // That of the CA first, as the others follow from it.
  for (std::size_t i = way.size(); i-- > 0;) {
    const Step& step = way[i];
    TlsFailure failure;
    if (status != 0) check_times(step, failure);
    if (status != 0) check_signature(step, failure);
    check_crls(step, status, failure);
    if (i == 0) {
      check_host(way, failure);
      const unsigned rest = status & ~explained_ & ~unsigned{GNUTLS_CERT_INVALID};
      add_words(rest, failure);
      const bool nothing = failures_.empty() && failure.checks.empty();
      if (status != 0 && nothing) failure.checks.emplace_back("was found to be invalid by GnuTLS");
    }
    if (failure.checks.empty()) continue;
    failure.certificate = i == 0       ? "the server's certificate"
                          : step.is_ca ? "the CA certificate in " + credentials_.paths().ca
                                       : "an intermediate certificate of the server";
    failure.says = tls_certificate_text(step.certificate);
    failures_.push_back(std::move(failure));
  }
}

TlsVerdict::Way TlsVerdict::way_to_ca(const TlsChain& chain) const {
  Way way;
  gnutls_x509_crt_t at = chain.front().get();
  while (way.size() < chain.size()) {
    if (gnutls_x509_crt_t ca = ca_above(at)) {
      way.push_back({at, ca, false});
      way.push_back({ca, nullptr, true});
      return way;
    }
    const auto next = std::ranges::find_if(chain, [&](const TlsCertificate& one) {
      const auto is_it = [&](const Step& step) { return step.certificate == one.get(); };
      return one.get() != at && std::ranges::none_of(way, is_it) && issued(one.get(), at);
    });
    if (next == chain.end()) break;
    way.push_back({at, next->get(), false});
    at = next->get();
  }
  way.push_back({at, nullptr, false});
  return way;
}

// Of several by the name that is wanted, the one whose key fits, or any.
gnutls_x509_crt_t TlsVerdict::ca_above(gnutls_x509_crt_t certificate) const {
  gnutls_x509_crt_t found = nullptr;
  for (const TlsCertificate& ca : credentials_.ca()) {
    if (!issued(ca.get(), certificate)) continue;
    if ((signature_status(certificate, ca.get()) & kUntrusted) == 0) return ca.get();
    found = ca.get();
  }
  return found;
}

void TlsVerdict::check_times(const Step& step, TlsFailure& to) {
  const std::time_t now = std::time(nullptr);
  const std::time_t until = gnutls_x509_crt_get_expiration_time(step.certificate);
  const std::time_t from = gnutls_x509_crt_get_activation_time(step.certificate);
  if (until < now) {
    explained_ |= GNUTLS_CERT_EXPIRED;
    to.checks.push_back("expired on " + tls_time_text(until));
  }
  if (from > now) {
    explained_ |= GNUTLS_CERT_NOT_ACTIVATED;
    to.checks.push_back("is valid only from " + tls_time_text(from));
  }
}

void TlsVerdict::check_signature(const Step& step, TlsFailure& to) {
  if (step.is_ca) return;
  const std::string& file = credentials_.paths().ca;
  if (step.issuer == nullptr) {
    explained_ |= kUntrusted;
    to.checks.push_back("was not signed by a CA in " + file);
    return;
  }
  const unsigned status = signature_status(step.certificate, step.issuer);
  explained_ |= status;
  if ((status & kUntrusted) != 0) {
    to.checks.push_back("names an issuer that is in " + file +
                        ", but was not signed with its key, or that one is no CA");
  }
  add_words(status & ~kUntrusted, to);
}

// GnuTLS takes a CRL as it is, whoever signed it and however old it is.
void TlsVerdict::check_crls(const Step& step, unsigned status, TlsFailure& to) {
  const std::string file = "the CRL " + credentials_.paths().crl;
  for (const TlsCrl& crl : credentials_.crl()) {
    if (step.issuer == nullptr) return;
    if (gnutls_x509_crl_check_issuer(crl.get(), step.issuer) == 0) continue;
    const std::time_t when = status == 0 ? -1 : revocation_in(crl.get(), step.certificate);
    if (when != -1) {
      explained_ |= GNUTLS_CERT_REVOKED;
      to.checks.push_back("was revoked on " + tls_time_text(when) + " by " + file);
    }
    check_crl(crl.get(), step.issuer, to);
  }
}

void TlsVerdict::check_crl(gnutls_x509_crl_t crl, gnutls_x509_crt_t issuer, TlsFailure& to) const {
  const std::string unknown = "may be revoked or not: the CRL " + credentials_.paths().crl + ' ';
  unsigned status = 0;
  const int code = gnutls_x509_crl_verify(crl, &issuer, 1, kRules, &status);
  const std::size_t before = to.checks.size();
  if ((status & GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED) != 0) {
    to.checks.push_back(unknown + "was to be replaced by " +
                        tls_time_text(gnutls_x509_crl_get_next_update(crl)));
  }
  if ((status & GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE) != 0) {
    to.checks.push_back(unknown + "is valid only from " +
                        tls_time_text(gnutls_x509_crl_get_this_update(crl)));
  }
  for (const FlagWords& words : kCrlWords) {
    if ((status & words.flag) != 0) to.checks.push_back(unknown + std::string(words.text));
  }
  const bool bad = code < 0 || status != 0;
  if (bad && to.checks.size() == before) to.checks.push_back(unknown + "cannot be checked");
}

void TlsVerdict::check_host(const Way& way, TlsFailure& to) const {
  const base::Buffer& address = host_.address;
  gnutls_x509_crt_t own = way.front().certificate;
  // What only some programs take for an address is a name here.
  const unsigned good =
      address.empty()
          ? gnutls_x509_crt_check_hostname2(own, host_.name.c_str(),
                                            GNUTLS_VERIFY_DO_NOT_ALLOW_IP_MATCHES)
          : gnutls_x509_crt_check_ip(own, address.data(), static_cast<unsigned>(address.size()), 0);
  const std::string whom =
      (address.empty() ? "the name " : "the address ") + base::shortened(host_.name);
  if (good == 0) to.checks.push_back("is not for " + whom);
  if (!is_permitted(way)) to.checks.push_back("is below a CA that may not vouch for " + whom);
}

// A wildcard can be outside of what a CA may not name, and match a host that is within.
bool TlsVerdict::is_permitted(const Way& way) const {
  const TlsConstraints constraints = tls_make<TlsConstraints>(gnutls_x509_name_constraints_init);
  if (constraints == nullptr) return false;
  for (std::size_t i = way.size(); i-- > 1;) {
    const int code = gnutls_x509_crt_get_name_constraints(
        way[i].certificate, constraints.get(), GNUTLS_NAME_CONSTRAINTS_FLAG_APPEND, nullptr);
    if (code < 0 && code != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return false;
  }
  const bool named = host_.address.empty();
  const gnutls_datum_t whom = tls_datum(named ? base::bytes_of(host_.name) : host_.address);
  return gnutls_x509_name_constraints_check(
             constraints.get(), named ? GNUTLS_SAN_DNSNAME : GNUTLS_SAN_IPADDRESS, &whom) != 0;
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
