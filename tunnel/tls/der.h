// DER, element by element.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "tunnel/tls/library.h"

namespace tunnel {

inline constexpr int kDerSequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
inline constexpr int kDerSet = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET;
// [0], to which others are added.
inline constexpr int kDerNumbered = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_CONTEXT_SPECIFIC;

// Takes elements off the front of bytes that outlive it.
class Der {
 public:
  explicit Der(base::Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  [[nodiscard]] bool done() const { return at_ == end_; }
  // Of the element in front; -1: there is none.
  [[nodiscard]] int tag() const { return done() ? -1 : *at_; }
  [[nodiscard]] base::Bytes rest() const { return {at_, end_}; }
  // The content of the element in front. Nothing, and nothing is taken, if it has another tag or is
  // cut short.
  std::optional<base::Bytes> take(int tag) {
    std::size_t size = 0;
    auto* at = const_cast<unsigned char*>(at_);
    if (mbedtls_asn1_get_tag(&at, end_, &size, tag) != 0) return std::nullopt;
    at_ = at + size;
    return base::Bytes(at, size);
  }
  // Whatever its tag is.
  std::optional<base::Bytes> take_any() { return done() ? std::nullopt : take(*at_); }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
};

}  // namespace tunnel
