// Cuts out of replies and events what somebody may not see of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "policy/error.h"
#include "policy/procedures.h"
#include "policy/redact/hidden.h"

namespace policy {

// A longer reply would keep the loop too long. Statistics of a machine have some KiB.
inline constexpr std::size_t kMaxCutReply = std::size_t{16} << 20U;

struct CutReply {
  enum class Outcome : std::uint8_t {
    unchanged,  // it has nothing of what is hidden
    cut,        // it is `body`
    refused,    // nothing of it may be passed on; to be told as `fault`
  };
  Outcome outcome = Outcome::unchanged;
  base::Buffer body = {};
  Fault fault = {};
};

// Of a reply to `procedure`, or of an event that it is, which objection_to_reply() has taken. Once
// more is as good as once, and `body` can be an event's message without its callback id if that is
// the row without.
CutReply cut_reply(const Procedure& procedure, base::Bytes body, HiddenSet hidden);

// Of a daemon's error, as clean_error() has it. Never refused. Of texts in which there is a path,
// what follows it goes as well, since paths can hold blanks.
CutReply cut_error(base::Bytes body, HiddenSet hidden);

}  // namespace policy
