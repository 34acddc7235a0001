// Names and constraints of names are checked byte by byte; tests/live/test_certificate_names.py has
// what GnuTLS says of whole certificates.
#include <string>
#include <string_view>

#include "tests/unit/support/catch.h"
#include "tunnel/tls/distinguished_name.h"
#include "tunnel/tls/names.h"

using namespace std::string_literals;
using namespace std::string_view_literals;
using tunnel::TlsNameConstraints;
using tunnel::TlsNames;

namespace {

std::string der(int tag, const std::string& content) {
  REQUIRE(content.size() < 128);
  return std::string{static_cast<char>(tag), static_cast<char>(content.size())} + content;
}

std::string part(const std::string& oid, int tag, const std::string& value) {
  return der(0x31, der(0x30, der(0x06, oid) + der(tag, value)));
}

const std::string kCommonName = "\x55\x04\x03";

// One name that is permitted (0) or excluded (1), as the extensions of a CA have it.
std::string extensions(int which, int kind, const std::string& base) {
  const std::string trees = der(0xa0 | which, der(0x30, der(kind, base)));
  return der(0x30, der(0x30, der(0x06, "\x55\x1d\x1e") + der(0x04, der(0x30, trees))));
}

bool good(const std::string& constraints, const TlsNames& names, std::string_view host = "h.test") {
  TlsNameConstraints all;
  all.add(base::bytes_of(constraints));
  return !all.complaint(names, host, {});
}

}  // namespace

TEST_CASE("Letters of a distinguished name that have a meaning are escaped", "[tls]") {
  const auto shown = [](int tag, const std::string& value) {
    return tunnel::distinguished_name(base::bytes_of(der(0x30, part(kCommonName, tag, value))));
  };
  CHECK(shown(0x0c, "Sn\xc3\xb6w, Ltd") == "CN=Sn\xc3\xb6w\\, Ltd");
  CHECK(shown(0x13, " a ") == "CN=\\ a\\ ");
  CHECK(shown(0x13, " ") == "CN=\\ ");
  CHECK(shown(0x0c, "#1") == "CN=\\#1");
  CHECK(shown(0x0c, "\\\"+<>;=") == "CN=\\\\\\\"\\+\\<\\>\\;=");
  CHECK(shown(0x1e, "\0S\0\xf6\x20\xac"s) == "CN=S\xc3\xb6\xe2\x82\xac");
  CHECK(shown(0x1e, "\xd8\0"s) == "CN=#1e02d800");
  CHECK(shown(0x1e, "a") == "CN=#1e0161");
  CHECK(shown(0x14, "S\xf6") == "CN=\\#53f6");
  CHECK(shown(0x03, "a") == "CN=#030161");
}

TEST_CASE("A distinguished name has the order of the certificate", "[tls]") {
  const std::string other = "\x2a\x86\x48\x01";
  const std::string name = der(0x30, part("\x55\x04\x06", 0x13, "DE") + part(other, 0x0c, "x") +
                                         part(kCommonName, 0x0c, "gate"));
  CHECK(tunnel::distinguished_name(base::bytes_of(name)) == "C=DE,1.2.840.1=#0c0178,CN=gate");
  CHECK(tunnel::distinguished_name(base::bytes_of(der(0x30, ""))).empty());
  CHECK(tunnel::distinguished_name({}).empty());
  for (std::size_t cut = 0; cut < name.size(); ++cut) {
    CHECK(tunnel::distinguished_name(base::bytes_of(name).first(cut)).empty());
  }
  const std::string endless = der(0x30, part("\x55\x84", 0x0c, "x"));
  CHECK(tunnel::distinguished_name(base::bytes_of(endless)).empty());
}

TEST_CASE("A subject is within the subjects that are permitted, part by part", "[tls]") {
  const std::string country = part("\x55\x04\x06", 0x13, "DE");
  const std::string subject = der(0x30, country + part(kCommonName, 0x0c, "gate"));
  const TlsNames names{base::bytes_of(subject), {}};
  CHECK(good(extensions(0, 0xa4, der(0x30, country)), names));
  CHECK(good(extensions(0, 0xa4, subject), names));
  CHECK(good(extensions(0, 0xa4, der(0x30, "")), names));
  CHECK_FALSE(good(extensions(0, 0xa4, der(0x30, part("\x55\x04\x06", 0x13, "FR"))), names));
  // Of another encoding, which may or may not be the same name.
  CHECK_FALSE(good(extensions(0, 0xa4, der(0x30, part("\x55\x04\x06", 0x0c, "DE"))), names));
  CHECK_FALSE(good(extensions(1, 0xa4, der(0x30, part("\x55\x04\x06", 0x13, "FR"))), names));
}

TEST_CASE("Constraints of a kind that cannot be checked refuse names of this kind", "[tls]") {
  const std::string subject = der(0x30, part(kCommonName, 0x0c, "h.test"));
  TlsNames names{base::bytes_of(subject), {}};
  for (const int which : {0, 1}) {
    const std::string about_uris = extensions(which, 0x86, ".test");
    names.alternatives = {{tunnel::kDnsName, base::bytes_of("h.test"sv)}};
    CHECK(good(about_uris, names));
    names.alternatives.push_back({tunnel::kUri, base::bytes_of("https://h.test"sv)});
    CHECK_FALSE(good(about_uris, names));
  }
}

TEST_CASE("What is excluded stays so for a wildcard that is not", "[tls]") {
  TlsNames names;
  names.alternatives = {{tunnel::kDnsName, base::bytes_of("*.a.test"sv)}};
  const std::string excluded = extensions(1, 0x82, "h.a.test");
  CHECK(good(excluded, names, "i.a.test"));
  CHECK_FALSE(good(excluded, names, "h.a.test"));
}

TEST_CASE("Constraints that are no DER refuse everything", "[tls]") {
  const std::string whole = extensions(0, 0x82, "test");
  const TlsNames names;
  CHECK(good("", names));
  CHECK(good(whole, names));
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    CHECK_FALSE(good(whole.substr(0, cut), names));
  }
  // A minimum, which RFC 5280 rules out.
  const std::string tree = der(0x30, der(0x82, "test") + der(0x80, "\x01"));
  const std::string value = der(0x30, der(0xa0, tree));
  CHECK_FALSE(good(der(0x30, der(0x30, der(0x06, "\x55\x1d\x1e") + der(0x04, value))), names));
}

TEST_CASE("Constraints of several CAs all hold", "[tls]") {
  TlsNameConstraints all;
  const std::string wide = extensions(0, 0x82, "test");
  const std::string narrow = extensions(0, 0x82, "b.test");
  all.add(base::bytes_of(wide));
  CHECK_FALSE(all.complaint({}, "a.test", {}));
  all.add(base::bytes_of(narrow));
  CHECK(all.complaint({}, "a.test", {}));
  CHECK_FALSE(all.complaint({}, "a.b.test", {}));
}

TEST_CASE("The subject of a certificate that nothing else is known of", "[tls]") {
  const std::string subject = der(0x30, part(kCommonName, 0x0c, "ca"));
  const std::string body = der(0xa0, der(0x02, "\x02")) + der(0x02, "\x01") + der(0x30, "") +
                           der(0x30, "") + der(0x30, "") + subject;
  const std::string certificate = der(0x30, der(0x30, body));
  CHECK(base::text_of(tunnel::subject_in_der(base::bytes_of(certificate))) == subject);
  for (std::size_t cut = 0; cut < certificate.size(); ++cut) {
    CHECK(tunnel::subject_in_der(base::bytes_of(certificate).first(cut)).empty());
  }
}
