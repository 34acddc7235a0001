// How a daemon reads arguments: what rpcgen makes of remote_protocol.x, written anew for tests and
// sharing nothing with the policy's own reader. It is as loose as the original: any word but 0 says
// that an optional is there, padding is skipped, a string ends at its first NUL, and what follows
// the last argument is not looked at.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "policy/signature.h"

namespace test {

// Each field as the daemon has it then, in their order: "42", "-1", "none", "text:...",
// "16:..." of a UUID, "2 of" before the elements of an array.
struct DaemonArguments {
  std::vector<std::string> fields;
  std::size_t used = 0;  // bytes
};

// Nothing: it answers that it cannot decode the message.
std::optional<DaemonArguments> read_as_daemon(const policy::Signature& signature, base::Bytes body);

}  // namespace test
