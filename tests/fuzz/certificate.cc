// What a certificate says of names, in DER: a distinguished name, constraints of names, and names
// that they are held against. The first byte says how the rest is cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "tunnel/tls/distinguished_name.h"
#include "tunnel/tls/names.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const base::Bytes all(data + 1, size - 1);
  const std::size_t at = std::min(std::size_t{data[0]}, all.size());
  const base::Bytes first = all.first(at);
  const base::Bytes second = all.subspan(at);

  (void)tunnel::distinguished_name(second);
  const base::Bytes subject = tunnel::subject_in_der(second);
  if (!subject.empty() && subject.front() != 0x30) std::abort();
  if (tunnel::tls_name_matches(base::text_of(first), base::text_of(second)) && first.empty()) {
    std::abort();
  }

  tunnel::TlsNames names{first, {}};
  for (int kind = 0; kind < 9; ++kind) names.alternatives.push_back({kind, first});
  (void)tunnel::tls_is_for_name(names, "hv.test");
  tunnel::TlsNameConstraints constraints;
  constraints.add(second);
  const bool complained = constraints.complaint(names, base::text_of(first), {}).has_value();
  constraints.add(second);
  // What was refused stays refused.
  if (complained && !constraints.complaint(names, base::text_of(first), {})) std::abort();
  (void)constraints.complaint(names, "", base::bytes_of("\x7f\0\0\1"));
  return 0;
}
