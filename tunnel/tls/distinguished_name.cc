#include "tunnel/tls/distinguished_name.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "tunnel/tls/der.h"

namespace tunnel {
namespace {

// GnuTLS's names, as of 3.7.
constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {"2.5.4.3", "CN"},
    {"2.5.4.4", "surName"},
    {"2.5.4.5", "serialNumber"},
    {"2.5.4.6", "C"},
    {"2.5.4.7", "L"},
    {"2.5.4.8", "ST"},
    {"2.5.4.9", "street"},
    {"2.5.4.10", "O"},
    {"2.5.4.11", "OU"},
    {"2.5.4.12", "title"},
    {"2.5.4.13", "description"},
    {"2.5.4.15", "businessCategory"},
    {"2.5.4.17", "postalCode"},
    {"2.5.4.20", "telephoneNumber"},
    {"2.5.4.41", "name"},
    {"2.5.4.42", "givenName"},
    {"2.5.4.43", "initials"},
    {"2.5.4.44", "generationQualifier"},
    {"2.5.4.46", "dnQualifier"},
    {"2.5.4.65", "pseudonym"},
    {"0.9.2342.19200300.100.1.1", "UID"},
    {"0.9.2342.19200300.100.1.25", "DC"},
    {"1.2.840.113549.1.9.1", "EMAIL"},
};

// Numbers larger than any that is in use, or cut short: not to be shown in this form.
std::optional<std::string> dotted(base::Bytes oid) {
  std::string out;
  std::uint64_t number = 0;
  bool whole = false;
  for (const std::uint8_t byte : oid) {
    if (number >> 56 != 0) return std::nullopt;
    number = number << 7 | (byte & 0x7f);
    whole = (byte & 0x80) == 0;
    if (!whole) continue;
    if (out.empty()) {
      const std::uint64_t first = number < 80 ? number / 40 : 2;
      out = std::to_string(first);
      number -= first * 40;
    }
    out += '.' + std::to_string(number);
    number = 0;
  }
  return whole ? std::optional(out) : std::nullopt;
}

std::string hexadecimal(base::Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "#";
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::optional<std::string> utf8_of_ucs2(base::Bytes text) {
  std::string out;
  if (text.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const unsigned code = unsigned{text[i]} << 8 | text[i + 1];
    if (code >= 0xd800 && code < 0xe000) return std::nullopt;
    if (code < 0x80) {
      out += static_cast<char>(code);
      continue;
    }
    if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
    } else {
      out += static_cast<char>(0xe0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    }
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
  return out;
}

std::optional<std::string> text_of(int tag, base::Bytes content) {
  switch (tag) {
    case MBEDTLS_ASN1_UTF8_STRING:
    case MBEDTLS_ASN1_PRINTABLE_STRING:
    case MBEDTLS_ASN1_IA5_STRING:
      return std::string(base::text_of(content));
    case MBEDTLS_ASN1_T61_STRING:
      // Nobody agrees on its letters beyond ASCII. GnuTLS then takes the digits for the text.
      if (std::ranges::any_of(content, [](std::uint8_t c) { return c >= 0x80; })) {
        return hexadecimal(content);
      }
      return std::string(base::text_of(content));
    case MBEDTLS_ASN1_BMP_STRING:
      return utf8_of_ucs2(content);
    default:
      return std::nullopt;
  }
}

std::string escaped(std::string_view text) {
  constexpr std::string_view kSpecial = ",+\"\\<>;";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool last = i + 1 == text.size();
    const bool first = i == 0;
    const char c = text[i];
    if (kSpecial.find(c) != std::string_view::npos || (c == ' ' && (first || last)) ||
        (c == '#' && first)) {
      out += '\\';
    }
    out += c;
  }
  return out;
}

std::optional<std::string> type_and_value(base::Bytes pair) {
  Der parts(pair);
  const auto oid = parts.take(MBEDTLS_ASN1_OID);
  const auto type = oid ? dotted(*oid) : std::nullopt;
  const base::Bytes value = parts.rest();
  const int tag = parts.tag();
  const auto content = parts.take_any();
  if (!type || !content || !parts.done()) return std::nullopt;
  for (const auto& [number, name] : kTypes) {
    if (number != *type) continue;
    const auto text = text_of(tag, *content);
    if (text) return std::string(name) + '=' + escaped(*text);
    return std::string(name) + '=' + hexadecimal(value);
  }
  return *type + '=' + hexadecimal(value);
}

}  // namespace

std::string distinguished_name(base::Bytes name) {
  const auto parts = Der(name).take(kDerSequence);
  if (!parts) return "";
  std::string out;
  for (Der relative(*parts); !relative.done();) {
    const auto set = relative.take(kDerSet);
    if (!set) return "";
    char before = ',';
    for (Der pairs(*set); !pairs.done(); before = '+') {
      const auto pair = pairs.take(kDerSequence);
      const auto text = pair ? type_and_value(*pair) : std::nullopt;
      if (!text) return "";
      if (!out.empty()) out += before;
      out += *text;
    }
  }
  return out;
}

base::Bytes subject_in_der(base::Bytes certificate) {
  const auto whole = Der(certificate).take(kDerSequence);
  const auto signed_part = whole ? Der(*whole).take(kDerSequence) : std::nullopt;
  if (!signed_part) return {};
  Der parts(*signed_part);
  parts.take(kDerNumbered);  // the version, if it is not the first
  // Serial number, signature, issuer, validity.
  for (int i = 0; i < 4; ++i) parts.take_any();
  const base::Bytes rest = parts.rest();
  return parts.take(kDerSequence) ? rest.first(rest.size() - parts.rest().size()) : base::Bytes();
}

}  // namespace tunnel
