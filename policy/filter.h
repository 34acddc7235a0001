// The verdict on one message of a client.
//
// The claim: whatever bytes a client sends, what leaves towards a hypervisor is a call of a
// procedure that the table (procedures.def) says reads, with arguments that were decoded in full by
// that procedure's own signature, that its checker accepts, and that were encoded anew from what
// was decoded. A program, version, procedure, type or status that the table does not know is
// refused. Nothing a client names when it opens a connection is ever sent on. Verdicts depend on
// the bytes and the table alone: there is no I/O here, no clock, no state and no setting.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "policy/error.h"
#include "policy/message.h"
#include "policy/procedures.h"

namespace policy {

// One decoded argument. Views point into the body that was judged, or into the encoded result, and
// live as long as those.
struct Argument {
  bool present = true;      // false: an optional that is absent
  std::int64_t number = 0;  // integers; the count of elements for arrays
  std::string_view text;    // strings; the name of an object that has one
  base::Bytes encoded;      // the canonical encoding of the whole argument, discriminator of an
                            // optional included
};

inline constexpr std::size_t kMaxArguments = 5;

struct Arguments {
  std::array<Argument, kMaxArguments> values;
  std::size_t count = 0;
  const Argument& operator[](std::size_t i) const;
};

enum class Decision : std::uint8_t {
  forward,  // to the upstream, with the encoded body
  answer,   // by the gate itself: the procedure's row says which it is
  refuse,   // with the fault; the connection goes on
  ping,     // keepalive: answer it
  ignore,   // what a daemon ignores too: pongs, replies and other messages nobody waits for
  end,  // the connection cannot go on: file descriptors or stream data that cannot be told from the
        // next frame
};

struct Verdict {
  Decision decision = Decision::refuse;
  const Procedure* procedure = nullptr;  // the row, when there is one
  Arguments arguments;                   // of what is forwarded or answered
  Fault fault;                           // of what is refused; of `end`: why, for the log
};

// Judges one message. The encoded arguments are appended to `encoded` (forward and answer); the
// verdict's views are good until either `body` or `encoded` changes.
Verdict judge(const Header& header, base::Bytes body, base::Buffer& encoded);

}  // namespace policy
