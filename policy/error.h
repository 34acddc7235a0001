// Errors as libvirt's clients print them: the structure remote_error of remote_protocol.x.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "policy/message.h"

namespace policy {

// virErrorNumber and virErrorDomain of libvirt's virterror.h, as far as they are used.
enum class ErrorCode : std::int32_t {
  internal_error = 1,
  no_support = 3,
  no_connect = 5,
  invalid_argument = 8,
  operation_denied = 29,
  system_error = 38,
  rpc = 39,
  auth_failed = 45,
  operation_timeout = 68,
  no_domain_metadata = 80,
};

enum class ErrorDomain : std::int32_t {
  none = 0,
  rpc = 7,
  network = 19,
  storage = 18,
  remote = 20,  // what libvirtd uses for domain, connection and node
  node_device = 22,
  interface = 26,
  secret = 30,
  nwfilter = 33,
  domain_snapshot = 35,
  domain_checkpoint = 69,
};

// What a client is told. `text` is for people; it may hold foreign text,
// and is to be escaped where it is shown. What libvirt puts before it belongs to the code and is
// not part of it: a client prints "operation forbidden: TEXT", "internal error: TEXT", and so on,
// but only TEXT for ErrorCode::rpc and ErrorCode::system_error.
struct Fault {
  ErrorCode code = ErrorCode::internal_error;
  ErrorDomain domain = ErrorDomain::rpc;
  std::string text;
  // The text is all of the message already, as that of an error which comes from a daemon.
  bool whole = false;
  // What is told to clients that may not hear `text`, which names keys, files, users or rules: a
  // short sentence without its end. Empty: `text` is for everyone.
  std::string plain = {};
};

// More of a fault's text than this is cut off, between two characters.
inline constexpr std::size_t kMaxFaultText = 4096;

// Appends the message with status error that answers `call`: same program, version, procedure and
// serial. str1 is the format of the code ("operation forbidden: %s") and str2 what stands for its
// %s, as libvirt has them, so that clients that look at them find what they expect.
//
// A stream message is answered by a stream message, which libvirt's clients drop when they know no
// such stream; a reply that nobody waits for would make them close the connection.
void append_error_reply(base::Buffer& to, const Header& call, const Fault& fault);

// How much of each text in a daemon's error is passed on.
inline constexpr std::size_t kMaxErrorText = std::size_t{16} * 1024;

// What a reply with status error says, for logs and for deciding: its code and its message, 0 and
// empty when it is malformed. The message is the peer's and may hold anything.
struct RemoteError {
  std::int32_t code = 0;
  std::string text;
};
RemoteError decode_error(base::Bytes body);

// The same error with texts of at most kMaxErrorText bytes that no terminal obeys
// (base::without_controls); nothing: `body` is not exactly one error, or has a longer text than
// libvirt takes. What a client gets of a daemon's errors is this, never the daemon's own bytes.
std::optional<base::Buffer> clean_error(base::Bytes body);

// Appends the same error to `to`, with what `change` makes of each of its texts. False: `body` is
// not exactly one error.
bool copy_error(base::Bytes body, base::Buffer& to,
                const std::function<std::string(std::string_view)>& change);

}  // namespace policy
