// The walker: decodes the arguments of a call by the signature in its procedure's row, holds them
// to the bounds there, and encodes them anew.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "policy/error.h"
#include "policy/procedures.h"
#include "policy/signature.h"

namespace policy {

// One decoded argument. Views point into the body that was judged, or into the encoded result, and
// live as long as those.
struct Argument {
  bool present = true;      // false: an optional that is absent
  std::int64_t number = 0;  // integers; the count of elements for arrays
  std::string_view text;    // strings; the name of an object that has one (usage id of a secret)
  base::Bytes encoded;      // the canonical encoding of the whole argument, discriminator of an
                            // optional included
};

struct Arguments {
  std::array<Argument, kMaxArguments> values;
  std::size_t count = 0;
  // The row's signature says how many there are.
  const Argument& operator[](std::size_t i) const;
};

// Decodes `body` as the arguments of `procedure`, which is not denied, into `arguments`, and
// appends their canonical encoding to `encoded`. The result is empty when all of it is well formed
// and within bounds; otherwise it says what is wrong, and `encoded` is as before.
//
// Strict: a string is within its bound and holds no NUL (daemons would stop reading there), an
// array is within its bound, nothing is left over at the end. Tolerated as daemons do it, and
// normalised: any word but 0 as the discriminator of an optional that is present, anything as
// padding.
std::optional<Fault> decode_arguments(const Procedure& procedure, base::Bytes body,
                                      base::Buffer& encoded, Arguments& arguments);

}  // namespace policy
