#include "tests/unit/support/tls_authority.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include <arpa/inet.h>
#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "tunnel/tls/library.h"

namespace test {
namespace {

using tunnel::tls_random;

std::string date(int days) {
  const std::time_t when = std::time(nullptr) + std::time_t{days} * 86400;
  std::tm parts{};
  gmtime_r(&when, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d%H%M%S", &parts);
  return text.data();
}

std::string der(int tag, const std::string& content) {
  std::string out(1, static_cast<char>(tag));
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

std::string utc_time(int days) { return der(MBEDTLS_ASN1_UTC_TIME, date(days).substr(2) + "Z"); }

std::string integer(unsigned value) {
  std::string bytes(1, static_cast<char>(value & 255));
  for (value >>= 8; value != 0 || (bytes[0] & 0x80) != 0; value >>= 8) {
    bytes.insert(bytes.begin(), static_cast<char>(value & 255));
  }
  return der(MBEDTLS_ASN1_INTEGER, bytes);
}

std::string alternative_names(const Wish& wish) {
  std::string names;
  for (const std::string& name : wish.dns) names += der(0x82, name);
  for (const std::string& address : wish.addresses) {
    std::array<char, 16> raw{};
    if (inet_pton(AF_INET, address.c_str(), raw.data()) == 1) {
      names += der(0x87, std::string(raw.data(), 4));
    } else {
      CHECK(inet_pton(AF_INET6, address.c_str(), raw.data()) == 1);
      names += der(0x87, std::string(raw.data(), 16));
    }
  }
  return names.empty() ? "" : der(MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, names);
}

struct Key {
  Key() {
    mbedtls_pk_init(&pk);
    CHECK(mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0);
    CHECK(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), tls_random, nullptr) ==
          0);
  }
  ~Key() { mbedtls_pk_free(&pk); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  [[nodiscard]] std::string pem() {
    std::array<unsigned char, 1024> text{};
    CHECK(mbedtls_pk_write_key_pem(&pk, text.data(), text.size()) == 0);
    return reinterpret_cast<const char*>(text.data());
  }
  [[nodiscard]] std::string sign(const std::string& what) {
    std::array<unsigned char, 32> hash{};
    CHECK(mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
                     reinterpret_cast<const unsigned char*>(what.data()), what.size(),
                     hash.data()) == 0);
    std::array<unsigned char, 256> signature{};
    std::size_t size = 0;
#if MBEDTLS_VERSION_MAJOR >= 3
    CHECK(mbedtls_pk_sign(&pk, MBEDTLS_MD_SHA256, hash.data(), hash.size(), signature.data(),
                          signature.size(), &size, tls_random, nullptr) == 0);
#else
    CHECK(mbedtls_pk_sign(&pk, MBEDTLS_MD_SHA256, hash.data(), hash.size(), signature.data(), &size,
                          tls_random, nullptr) == 0);
#endif
    return {reinterpret_cast<const char*>(signature.data()), size};
  }

  mbedtls_pk_context pk;
};

struct Signer {
  Key& key;
  std::string subject;
};

void set_serial(mbedtls_x509write_cert* writer, unsigned serial) {
#if MBEDTLS_VERSION_MAJOR >= 3
  CHECK(serial < 128);
  auto raw = static_cast<unsigned char>(serial);
  CHECK(mbedtls_x509write_crt_set_serial_raw(writer, &raw, 1) == 0);
#else
  mbedtls_mpi number;
  mbedtls_mpi_init(&number);
  CHECK(mbedtls_mpi_lset(&number, static_cast<int>(serial)) == 0);
  CHECK(mbedtls_x509write_crt_set_serial(writer, &number) == 0);
  mbedtls_mpi_free(&number);
#endif
}

void extend(mbedtls_x509write_cert* writer, const char* oid, std::size_t oid_size,
            const std::string& value) {
  if (value.empty()) return;
  CHECK(mbedtls_x509write_crt_set_extension(writer, oid, oid_size, 0,
                                            reinterpret_cast<const unsigned char*>(value.data()),
                                            value.size()) == 0);
}

std::string certify(const Signer& signer, Key& key, const Wish& wish, unsigned serial) {
  mbedtls_x509write_cert writer;
  mbedtls_x509write_crt_init(&writer);
  mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
  mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
  mbedtls_x509write_crt_set_subject_key(&writer, &key.pk);
  mbedtls_x509write_crt_set_issuer_key(&writer, &signer.key.pk);
  CHECK(mbedtls_x509write_crt_set_subject_name(&writer, wish.subject.c_str()) == 0);
  CHECK(mbedtls_x509write_crt_set_issuer_name(&writer, signer.subject.c_str()) == 0);
  CHECK(mbedtls_x509write_crt_set_validity(&writer, date(wish.from_days).c_str(),
                                           date(wish.to_days).c_str()) == 0);
  set_serial(&writer, serial);
  CHECK(mbedtls_x509write_crt_set_basic_constraints(&writer, wish.is_ca ? 1 : 0, -1) == 0);
  unsigned use = MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
  if (!wish.only_signs) use |= MBEDTLS_X509_KU_KEY_ENCIPHERMENT;
  if (wish.is_ca) use = MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN;
  CHECK(mbedtls_x509write_crt_set_key_usage(&writer, use) == 0);
  extend(&writer, MBEDTLS_OID_SUBJECT_ALT_NAME, MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME),
         alternative_names(wish));
  if (!wish.purpose.empty()) {
    extend(
        &writer, MBEDTLS_OID_EXTENDED_KEY_USAGE, MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE),
        der(MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, der(MBEDTLS_ASN1_OID, wish.purpose)));
  }
  std::array<unsigned char, 4096> text{};
  CHECK(mbedtls_x509write_crt_pem(&writer, text.data(), text.size(), tls_random, nullptr) == 0);
  mbedtls_x509write_crt_free(&writer);
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Authority::State {
  Key key;
  std::string subject;
  std::string certificate;
  unsigned last_serial = 1;
};

Authority::Authority(std::unique_ptr<State> state) : state_(std::move(state)) {}

Authority::Authority(const std::string& subject, int from_days, int to_days)
    : state_(std::make_unique<State>()) {
  state_->subject = subject;
  Wish wish{.subject = subject, .from_days = from_days, .to_days = to_days, .is_ca = true};
  state_->certificate = certify({state_->key, subject}, state_->key, wish, 1);
}

Authority::~Authority() = default;

const std::string& Authority::certificate() const { return state_->certificate; }

Issued Authority::issue(const Wish& wish) {
  Key key;
  const unsigned serial = ++state_->last_serial;
  return {certify({state_->key, state_->subject}, key, wish, serial), key.pem(), serial};
}

std::unique_ptr<Authority> Authority::intermediate(const std::string& subject) {
  auto state = std::make_unique<State>();
  state->subject = subject;
  const Wish wish{.subject = subject, .is_ca = true};
  state->certificate =
      certify({state_->key, state_->subject}, state->key, wish, ++state_->last_serial);
  return std::unique_ptr<Authority>(new Authority(std::move(state)));
}

std::string Authority::crl(const CrlWish& wish) const {
  constexpr int kSequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
  mbedtls_x509_crt own;
  mbedtls_x509_crt_init(&own);
  CHECK(mbedtls_x509_crt_parse(&own,
                               reinterpret_cast<const unsigned char*>(state_->certificate.c_str()),
                               state_->certificate.size() + 1) == 0);
  const std::string issuer(reinterpret_cast<const char*>(own.subject_raw.p), own.subject_raw.len);
  mbedtls_x509_crt_free(&own);
  const std::string algorithm =
      der(kSequence, der(MBEDTLS_ASN1_OID, std::string(MBEDTLS_OID_ECDSA_SHA256)));
  std::string revoked;
  for (const unsigned serial : wish.revoked) {
    revoked += der(kSequence, integer(serial) + utc_time(wish.from_days));
  }
  if (!revoked.empty()) revoked = der(kSequence, revoked);
  const std::string to_sign =
      der(kSequence, der(MBEDTLS_ASN1_INTEGER, "\x01") + algorithm + issuer +
                         utc_time(wish.from_days) + utc_time(wish.to_days) + revoked);
  const std::string all = der(kSequence, to_sign + algorithm +
                                             der(MBEDTLS_ASN1_BIT_STRING,
                                                 std::string(1, '\0') + state_->key.sign(to_sign)));
  std::array<unsigned char, 4096> text{};
  std::size_t size = 0;
  CHECK(mbedtls_pem_write_buffer("-----BEGIN X509 CRL-----\n", "-----END X509 CRL-----\n",
                                 reinterpret_cast<const unsigned char*>(all.data()), all.size(),
                                 text.data(), text.size(), &size) == 0);
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace test
