#include "tests/unit/support/tls_authority.h"

#include <array>
#include <ctime>

#include <arpa/inet.h>

#include "base/check.h"
#include "tunnel/tls/library.h"

namespace test {
namespace {

using tunnel::tls_datum;
using tunnel::tls_make;
using tunnel::TlsCertificate;
using tunnel::TlsCrl;
using tunnel::TlsKey;

std::time_t from_now(int days) { return std::time(nullptr) + std::time_t{days} * 86400; }

std::string der(char tag, const std::string& content) {
  std::string out(1, tag);
  if (content.size() < 128) {
    out += static_cast<char>(content.size());
  } else {
    CHECK(content.size() < 65536);
    out += static_cast<char>(0x82);
    out += static_cast<char>(content.size() >> 8);
    out += static_cast<char>(content.size() & 255);
  }
  return out + content;
}

// By hand, since GnuTLS makes no odd ones.
std::string alternative_names(const Wish& wish) {
  std::string names;
  for (const std::string& name : wish.dns) names += der('\x82', name);
  for (const std::string& address : wish.addresses) {
    std::array<char, 16> raw{};
    if (inet_pton(AF_INET, address.c_str(), raw.data()) == 1) {
      names += der('\x87', std::string(raw.data(), 4));
    } else {
      CHECK(inet_pton(AF_INET6, address.c_str(), raw.data()) == 1);
      names += der('\x87', std::string(raw.data(), 16));
    }
  }
  return names.empty() ? "" : der('\x30', names);
}

std::string taken(gnutls_datum_t text) {
  std::string out(reinterpret_cast<const char*>(text.data), text.size);
  gnutls_free(text.data);
  return out;
}

std::string pem(const TlsCertificate& certificate) {
  gnutls_datum_t text{};
  CHECK(gnutls_x509_crt_export2(certificate.get(), GNUTLS_X509_FMT_PEM, &text) == 0);
  return taken(text);
}

std::string pem(const TlsKey& key) {
  gnutls_datum_t text{};
  CHECK(gnutls_x509_privkey_export2_pkcs8(key.get(), GNUTLS_X509_FMT_PEM, nullptr,
                                          GNUTLS_PKCS_PLAIN, &text) == 0);
  return taken(text);
}

TlsKey make_key(KeyKind kind) {
  TlsKey key = tls_make<TlsKey>(gnutls_x509_privkey_init);
  switch (kind) {
    case KeyKind::ecdsa:
      CHECK(gnutls_x509_privkey_generate(key.get(), GNUTLS_PK_ECDSA,
                                         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
      break;
    case KeyKind::ed25519:
      CHECK(gnutls_x509_privkey_generate(key.get(), GNUTLS_PK_EDDSA_ED25519, 256, 0) == 0);
      break;
    case KeyKind::short_rsa:
      CHECK(gnutls_x509_privkey_generate(key.get(), GNUTLS_PK_RSA, 1024, 0) == 0);
      break;
  }
  return key;
}

unsigned use_of(const Wish& wish) {
  if (wish.is_ca) return GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN;
  const unsigned use = GNUTLS_KEY_DIGITAL_SIGNATURE;
  return wish.only_signs ? use : use | GNUTLS_KEY_KEY_ENCIPHERMENT;
}

struct Identity {
  TlsKey key;
  TlsCertificate certificate;
};

// Signed by `signer`; null: by itself.
Identity certify(const Identity* signer, const Wish& wish, unsigned serial) {
  Identity made{make_key(wish.kind), tls_make<TlsCertificate>(gnutls_x509_crt_init)};
  gnutls_x509_crt_t to = made.certificate.get();
  CHECK(gnutls_x509_crt_set_version(to, 3) == 0);
  const std::array<unsigned char, 1> raw = {static_cast<unsigned char>(serial)};
  CHECK(serial < 128);
  CHECK(gnutls_x509_crt_set_serial(to, raw.data(), raw.size()) == 0);
  CHECK(gnutls_x509_crt_set_dn(to, wish.subject.c_str(), nullptr) == 0);
  CHECK(gnutls_x509_crt_set_activation_time(to, from_now(wish.from_days)) == 0);
  CHECK(gnutls_x509_crt_set_expiration_time(to, from_now(wish.to_days)) == 0);
  CHECK(gnutls_x509_crt_set_key(to, made.key.get()) == 0);
  CHECK(gnutls_x509_crt_set_basic_constraints(to, wish.is_ca ? 1 : 0, -1) == 0);
  CHECK(gnutls_x509_crt_set_key_usage(to, use_of(wish)) == 0);
  const std::string names = alternative_names(wish);
  if (!names.empty()) {
    CHECK(gnutls_x509_crt_set_extension_by_oid(to, GNUTLS_X509EXT_OID_SAN, names.data(),
                                               names.size(), 0) == 0);
  }
  if (!wish.purpose.empty()) {
    CHECK(gnutls_x509_crt_set_key_purpose_oid(to, wish.purpose.c_str(), 0) == 0);
  }
  if (!wish.excluded.empty()) {
    const auto constraints = tls_make<tunnel::TlsConstraints>(gnutls_x509_name_constraints_init);
    const gnutls_datum_t name = tls_datum(base::bytes_of(wish.excluded));
    CHECK(gnutls_x509_name_constraints_add_excluded(constraints.get(), GNUTLS_SAN_DNSNAME, &name) ==
          0);
    CHECK(gnutls_x509_crt_set_name_constraints(to, constraints.get(), 1) == 0);
  }
  const Identity& by = signer == nullptr ? made : *signer;
  CHECK(gnutls_x509_crt_sign2(to, by.certificate.get(), by.key.get(),
                              wish.sha1 ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256, 0) == 0);
  return made;
}

}  // namespace

struct Authority::State {
  Identity identity;
  std::string certificate;
  unsigned last_serial = 1;
};

Authority::Authority(std::unique_ptr<State> state) : state_(std::move(state)) {}

Authority::Authority(const std::string& subject, int from_days, int to_days)
    : Authority(Wish{.subject = subject, .from_days = from_days, .to_days = to_days}) {}

Authority::Authority(Wish wish) : state_(std::make_unique<State>()) {
  wish.is_ca = true;
  state_->identity = certify(nullptr, wish, 1);
  state_->certificate = pem(state_->identity.certificate);
}

Authority::~Authority() = default;

const std::string& Authority::certificate() const { return state_->certificate; }

Issued Authority::issue(const Wish& wish) {
  const unsigned serial = ++state_->last_serial;
  const Identity made = certify(&state_->identity, wish, serial);
  return {pem(made.certificate), pem(made.key), serial};
}

std::unique_ptr<Authority> Authority::intermediate(const std::string& subject) {
  auto state = std::make_unique<State>();
  const Wish wish{.subject = subject, .is_ca = true};
  state->identity = certify(&state_->identity, wish, ++state_->last_serial);
  state->certificate = pem(state->identity.certificate);
  return std::unique_ptr<Authority>(new Authority(std::move(state)));
}

std::string Authority::crl(const CrlWish& wish) const {
  const TlsCrl crl = tls_make<TlsCrl>(gnutls_x509_crl_init);
  gnutls_x509_crl_t to = crl.get();
  CHECK(gnutls_x509_crl_set_version(to, 1) == 0);
  CHECK(gnutls_x509_crl_set_this_update(to, from_now(wish.from_days)) == 0);
  CHECK(gnutls_x509_crl_set_next_update(to, from_now(wish.to_days)) == 0);
  for (const unsigned serial : wish.revoked) {
    const std::array<unsigned char, 1> raw = {static_cast<unsigned char>(serial)};
    CHECK(serial < 128);
    CHECK(gnutls_x509_crl_set_crt_serial(to, raw.data(), raw.size(), from_now(wish.from_days)) ==
          0);
  }
  CHECK(gnutls_x509_crl_sign2(to, state_->identity.certificate.get(), state_->identity.key.get(),
                              GNUTLS_DIG_SHA256, 0) == 0);
  gnutls_datum_t text{};
  CHECK(gnutls_x509_crl_export2(to, GNUTLS_X509_FMT_PEM, &text) == 0);
  return taken(text);
}

}  // namespace test
