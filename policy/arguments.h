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

// One decoded argument, as it is sent on. Views point into the body that was judged, or into the
// encoded result, and live as long as those.
struct Argument {
  bool present = true;      // false: an optional that is absent
  std::int64_t number = 0;  // integers; the count of elements for arrays
  std::string_view text;    // strings; the name of an object that has one (usage id of a secret)
  std::string_view owner;   // the name of what `key` means, where there is one
  base::Bytes key;          // what daemons find the object by (see Layout); of an array with one
                            // element, that one's; otherwise of an array, and absent: empty
  base::Bytes encoded;      // the canonical encoding of the whole argument, discriminator of an
                            // optional included
};

// How what is sent on differs from what was asked. Either way it is what a reader gets.
enum class Amendment : std::uint8_t {
  none,
  secure_omitted,   // passwords were asked for, and are left out
  statistics_kept,  // of a finished job, which asking for them would have discarded
};

struct Arguments {
  std::array<Argument, kMaxArguments> values;
  std::size_t count = 0;
  Amendment amendment = Amendment::none;
  // The row's signature says how many there are.
  const Argument& operator[](std::size_t i) const;
};

// Decodes `body` as the arguments of `procedure`, which is not denied, into `arguments`, and
// appends their canonical encoding to `encoded`. The result is empty when all of it is well formed
// and within bounds; otherwise it says what is wrong, and `encoded` is as before.
//
// Strict: a string is within its bound and holds no NUL (daemons would stop reading there), an
// array is within its bound and names nothing twice, nothing is left over at the end. Tolerated as
// daemons do it, and normalised: any word but 0 as the discriminator of an optional that is
// present, anything as padding. Put in its twin's place, which the signature names: a value that
// does not read.
std::optional<Fault> decode_arguments(const Procedure& procedure, base::Bytes body,
                                      base::Buffer& encoded, Arguments& arguments);

// The refusal of a flag that a signature names.
Fault refusal_of(const Procedure& procedure, const NamedFlag& flag);

}  // namespace policy
