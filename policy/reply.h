// The walker for what daemons send: holds a reply or an event to the signature in its procedure's
// row, and a reply to the call that it answers.
//
// The claim: whatever bytes a daemon sends, a client gets only messages of procedures that it
// called or events that it asked for, which libvirt's own decoder takes to the last byte.
#pragma once

#include <string>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace policy {

// REMOTE_STRING_MAX.
inline constexpr std::size_t kMaxReplyString = std::size_t{4} * 1024 * 1024;

// What is wrong with `body` as the reply to a call of `procedure`, or as the event that it is, to
// be put behind its sender: "sent a reply to NODE_GET_INFO that ends inside memory". Empty: it is
// good. One pass, without memory of its own; nothing of the body is in the text.
//
// Strict: counts and strings are within their bounds, an optional is 0 or 1, the type of a
// parameter is known, small numbers fit, padding is zero, no string ends in a NUL, nothing is left
// over. What a string holds beyond that is not looked at.
//
// `call` is the body of the call, as it was sent: a look-up must bring what was asked for, a list
// no more than it said, statistics no machine that was not named. It is not looked at for events.
std::string objection_to_reply(const Procedure& procedure, base::Bytes call, base::Bytes body);

}  // namespace policy
