// Whether a certificate is good for a name, by the rules of GnuTLS, which libvirt uses: where virsh
// accepts a certificate the gate does, and where virsh refuses it so does the gate. mbedTLS has
// other rules for the common name and for wildcards, and does not know constraints of names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "tunnel/tls/library.h"

namespace tunnel {

// Kinds of RFC 5280's GeneralName.
inline constexpr int kOtherName = 0;
inline constexpr int kEmail = 1;
inline constexpr int kDnsName = 2;
inline constexpr int kDirectoryName = 4;
inline constexpr int kUri = 6;
inline constexpr int kIpAddress = 7;

// Whom a certificate is about. It points into the certificate.
struct TlsNames {
  struct Alternative {
    int kind;
    base::Bytes value;
  };
  base::Bytes subject;  // in DER
  std::vector<Alternative> alternatives;
};

TlsNames tls_names(const mbedtls_x509_crt& certificate);

// `pattern` is a DNS name of a certificate. Letters match in either case. A "*" in front stands for
// a part of the leftmost label or all of it, if at least two labels follow: "*.b.example" is good
// for a.b.example, and not for x.a.b.example or b.example; "*.example" is good for nothing.
bool tls_name_matches(std::string_view pattern, std::string_view name);

// By the DNS alternative names. The common name counts if it is the only one, and there is no
// alternative name of another kind than an e-mail address or otherName.
bool tls_is_for_name(const TlsNames& names, std::string_view name);

// By the alternative names of type iPAddress alone.
bool tls_lists_address(const TlsNames& names, base::Bytes address);

// Whether this is the object identifier of NameConstraints.
bool tls_is_constraints_oid(base::Bytes oid);

// What CA certificates say about the names of those below them.
class TlsNameConstraints {
 public:
  // Those in the extensions of a CA hold from now on, besides those of before. `extensions` is a
  // SEQUENCE in DER, or empty.
  void add(base::Bytes extensions);

  // Why a certificate with `names` is not good for the host: it has a name that is excluded, or not
  // among those that are permitted, or the constraints cannot be evaluated. `name` is the host's,
  // or `address` is not empty.
  [[nodiscard]] std::optional<std::string> complaint(const TlsNames& names, std::string_view name,
                                                     base::Bytes address) const;

 private:
  struct One {
    int kind;
    bool permitted;
    base::Buffer base;
  };
  using Set = std::vector<One>;  // of one CA

  static bool parse(base::Bytes extension, Set& to);
  static std::optional<std::string> check(const Set& set, int kind, base::Bytes name);

  std::vector<Set> sets_;
  bool malformed_ = false;
};

}  // namespace tunnel
