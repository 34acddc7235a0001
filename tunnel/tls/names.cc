#include "tunnel/tls/names.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tunnel/tls/der.h"

namespace tunnel {
namespace {

constexpr std::array<std::uint8_t, 3> kConstraintsOid = {0x55, 0x1d, 0x1e};
constexpr std::array<std::uint8_t, 3> kCommonNameOid = {0x55, 0x04, 0x03};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool ends_with(std::string_view name, std::string_view end) {
  return name.size() >= end.size() && same_letters(name.substr(name.size() - end.size()), end);
}

// A name with a NUL, or with anything that is no ASCII, is no name of a host.
bool is_plain(std::string_view name) {
  return std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
}

// The content of each common name in a subject, in order.
std::vector<base::Bytes> common_names(base::Bytes subject) {
  std::vector<base::Bytes> out;
  const auto parts = Der(subject).take(kDerSequence);
  for (Der relative(parts.value_or(base::Bytes())); !relative.done();) {
    const auto set = relative.take(kDerSet);
    if (!set) break;
    for (Der pairs(*set); !pairs.done();) {
      const auto pair = pairs.take(kDerSequence);
      if (!pair) break;
      Der one(*pair);
      const auto oid = one.take(MBEDTLS_ASN1_OID);
      const auto value = one.take_any();
      if (oid && value && std::ranges::equal(*oid, kCommonNameOid)) out.push_back(*value);
    }
  }
  return out;
}

// The value of the extension NameConstraints; nothing: there is none. False: it is not DER.
bool find_constraints(base::Bytes extensions, std::optional<base::Bytes>& found) {
  const auto all = Der(extensions).take(kDerSequence);
  if (!all) return extensions.empty();
  for (Der list(*all); !list.done();) {
    const auto one = list.take(kDerSequence);
    if (!one) return false;
    Der parts(*one);
    const auto oid = parts.take(MBEDTLS_ASN1_OID);
    if (!oid) return false;
    if (parts.tag() == MBEDTLS_ASN1_BOOLEAN) parts.take(MBEDTLS_ASN1_BOOLEAN);
    const auto value = parts.take(MBEDTLS_ASN1_OCTET_STRING);
    if (!value) return false;
    if (tls_is_constraints_oid(*oid)) found = *value;
  }
  return true;
}

bool dns_is_below(std::string_view name, std::string_view base) {
  if (base.empty() || same_letters(name, base)) return true;
  if (base.front() == '.') return ends_with(name, base);
  return ends_with(name, "." + std::string(base));
}

bool address_is_in(base::Bytes address, base::Bytes net) {
  if (net.size() != 2 * address.size()) return false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const unsigned mask = net[address.size() + i];
    if ((address[i] & mask) != (net[i] & mask)) return false;
  }
  return true;
}

// A mailbox, a host, or with a dot in front all hosts below a domain.
bool mailbox_is_in(std::string_view name, std::string_view base) {
  if (base.empty() || base.find('@') != base.npos) return same_letters(name, base);
  return ends_with(name, base.front() == '.' ? std::string(base) : "@" + std::string(base));
}

// By bytes: a name that is written in another way counts as outside.
bool directory_is_below(base::Bytes name, base::Bytes base) {
  const auto relative = Der(name).take(kDerSequence);
  const auto wanted = Der(base).take(kDerSequence);
  if (!relative || !wanted || relative->size() < wanted->size()) return false;
  return std::ranges::equal(relative->first(wanted->size()), *wanted);
}

bool is_below(int kind, base::Bytes name, base::Bytes base) {
  if (kind == kIpAddress) return address_is_in(name, base);
  if (kind == kDirectoryName) return directory_is_below(name, base);
  if (kind == kEmail) return mailbox_is_in(base::text_of(name), base::text_of(base));
  return dns_is_below(base::text_of(name), base::text_of(base));
}

// Whether to be outside of `excluded` can be told.
bool can_be_checked(int kind, bool permitted) {
  if (kind == kDirectoryName) return permitted;
  return kind == kDnsName || kind == kIpAddress || kind == kEmail;
}

std::string_view words_for(int kind) {
  switch (kind) {
    case kEmail:
      return "an e-mail address";
    case kDnsName:
      return "a DNS name";
    case kDirectoryName:
      return "a subject";
    case kIpAddress:
      return "an address";
    default:
      return "a name";
  }
}

}  // namespace

bool tls_name_matches(std::string_view pattern, std::string_view name) {
  if (!is_plain(pattern) || name.empty()) return false;
  if (!pattern.starts_with('*')) return same_letters(pattern, name);
  pattern.remove_prefix(1);
  const std::size_t last = pattern.rfind('.');
  if (last == pattern.npos || pattern.find('.') == last || last + 1 == pattern.size()) return false;
  if (!ends_with(name, pattern)) return false;
  return name.substr(0, name.size() - pattern.size()).find('.') == name.npos;
}

TlsNames tls_names(const mbedtls_x509_crt& certificate) {
  TlsNames names;
  names.subject = {certificate.subject_raw.p, certificate.subject_raw.len};
  for (const mbedtls_x509_sequence* at = &certificate.subject_alt_names; at != nullptr;
       at = at->next) {
    if (at->buf.p == nullptr) continue;
    names.alternatives.push_back(
        {at->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK, {at->buf.p, at->buf.len}});
  }
  return names;
}

bool tls_is_for_name(const TlsNames& names, std::string_view name) {
  bool common_name_counts = true;
  for (const auto& [kind, value] : names.alternatives) {
    if (kind != kEmail && kind != kOtherName) common_name_counts = false;
    if (kind == kDnsName && tls_name_matches(base::text_of(value), name)) return true;
  }
  if (!common_name_counts) return false;
  const auto common = common_names(names.subject);
  return common.size() == 1 && tls_name_matches(base::text_of(common.front()), name);
}

bool tls_lists_address(const TlsNames& names, base::Bytes address) {
  return std::ranges::any_of(names.alternatives, [&](const TlsNames::Alternative& one) {
    return one.kind == kIpAddress && !address.empty() && std::ranges::equal(address, one.value);
  });
}

bool tls_is_constraints_oid(base::Bytes oid) { return std::ranges::equal(oid, kConstraintsOid); }

bool TlsNameConstraints::parse(base::Bytes extension, Set& to) {
  Der outer(extension);
  const auto both = outer.take(kDerSequence);
  if (!both || !outer.done()) return false;
  for (Der lists(*both); !lists.done();) {
    const int which = lists.tag();
    if (which != kDerNumbered && which != (kDerNumbered | 1)) return false;
    const auto list = lists.take(which);
    if (!list) return false;
    for (Der trees(*list); !trees.done();) {
      const auto tree = trees.take(kDerSequence);
      if (!tree) return false;
      // Minimum and maximum are not used by RFC 5280.
      Der parts(*tree);
      const int tag = parts.tag();
      const auto base = tag < 0 ? std::nullopt : parts.take(tag);
      if (!base || !parts.done()) return false;
      to.push_back({tag & MBEDTLS_ASN1_TAG_VALUE_MASK, which == kDerNumbered,
                    base::Buffer(base->begin(), base->end())});
    }
  }
  return true;
}

void TlsNameConstraints::add(base::Bytes extensions) {
  std::optional<base::Bytes> extension;
  Set set;
  if (!find_constraints(extensions, extension) || (extension && !parse(*extension, set))) {
    malformed_ = true;
  }
  if (!set.empty()) sets_.push_back(std::move(set));
}

std::optional<std::string> TlsNameConstraints::check(const Set& set, int kind, base::Bytes name) {
  bool some_permitted = false;
  bool permitted = false;
  for (const One& one : set) {
    if (one.kind != kind) continue;
    if (!can_be_checked(kind, one.permitted)) {
      return "of a kind that a CA above it constrains in a way that cannot be checked here";
    }
    const bool below = is_below(kind, name, one.base);
    if (below && !one.permitted) return "that a CA above it excludes";
    some_permitted = some_permitted || one.permitted;
    permitted = permitted || (below && one.permitted);
  }
  if (some_permitted && !permitted) return "that is not among those which a CA above it permits";
  return std::nullopt;
}

std::optional<std::string> TlsNameConstraints::complaint(const TlsNames& names,
                                                         std::string_view name,
                                                         base::Bytes address) const {
  if (malformed_) return "is below a CA whose constraints of names cannot be understood";
  std::optional<std::string> found;
  const auto judge = [&](int kind, base::Bytes value) {
    for (const Set& set : sets_) {
      if (found) return;
      if (const auto why = check(set, kind, value)) {
        found = "has " + std::string(words_for(kind)) + ' ' + *why;
      }
    }
  };
  judge(kDirectoryName, names.subject);
  // A wildcard can be outside of what is excluded and match a name that is within.
  address.empty() ? judge(kDnsName, base::bytes_of(name)) : judge(kIpAddress, address);
  bool has_dns_name = false;
  for (const auto& [kind, value] : names.alternatives) {
    has_dns_name = has_dns_name || kind == kDnsName;
    judge(kind, value);
  }
  // As in GnuTLS, whether or not the common name counts for the host.
  if (!has_dns_name) {
    for (const base::Bytes common : common_names(names.subject)) judge(kDnsName, common);
  }
  return found;
}

}  // namespace tunnel
