// The verdict on one message of a client.
//
// The claim: whatever bytes a client sends, all that leaves towards a hypervisor on its behalf is
// calls of procedures that the table (procedures.def) says read, with arguments that were decoded
// in full by that procedure's own signature, are within the bounds and the flags that it lists, and
// were encoded anew from what was decoded, so that what the daemon reads is what was judged. A few
// values that do not read are sent on as the one beside them that does, where the table names it.
// Everything else is refused: a program, version, procedure, status or flag that the table does not
// know, bytes that are left over, streams and file descriptors. Nothing that a client names when it
// opens a connection is ever sent on; of a URI that open_uris let pass, driver and path are written
// anew from their plain characters.
//
// Verdicts depend on the bytes and the table alone: there is no I/O here, no clock, no state and no
// setting, and so nothing that could loosen them.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "policy/arguments.h"
#include "policy/error.h"
#include "policy/message.h"
#include "policy/procedures.h"

namespace policy {

enum class Decision : std::uint8_t {
  forward,  // to the upstream, with the encoded body
  answer,   // by the gate itself: the procedure's row says which it is
  refuse,   // with the fault; the connection goes on
  ping,     // keepalive: answer it
  ignore,   // what a daemon ignores too: pongs, replies and other messages nobody waits for
  end,  // with the fault; then the connection must be closed, because file descriptors cannot be
        // told from the next frame
};

struct Verdict {
  Decision decision = Decision::refuse;
  const Procedure* procedure = nullptr;  // the row, when a procedure was called that has one
  Arguments arguments;                   // of what is forwarded or answered
  Fault fault;                           // of what is refused, and of `end`
};

// Judges one message. The encoded arguments are appended to `encoded` (forward and answer); the
// verdict's views are good until either `body` or `encoded` changes. The header's length is not
// looked at.
//
//   keepalive            a ping is `ping`, anything else `ignore`
//   call                 of an unknown program or version, with a status, of no procedure or of an
//                        event: refused with the codes and words that libvirt's clients know from
//                        daemons (they try an older procedure when a newer one is unknown); by its
//                        row otherwise
//   call with files      `end`, whatever it calls and however many it announces
//   stream, stream hole  refused: no procedure that passes opens one. append_error_reply() answers
//                        in kind, so a client that waits hears of it and one that does not goes on
//   reply, event, other  `ignore`
Verdict judge(const Header& header, base::Bytes body, base::Buffer& encoded);

}  // namespace policy
