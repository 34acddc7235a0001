// Errors as libvirt's clients print them: the structure remote_error of remote_protocol.x.
#pragma once

#include <cstdint>
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

// What a client is told. `text` is for people; it must hold no foreign text that has not been made
// printable.
struct Fault {
  ErrorCode code = ErrorCode::internal_error;
  ErrorDomain domain = ErrorDomain::rpc;
  std::string text;
};

// Appends the reply with status error that answers `call`: same program, version, procedure and
// serial. The text is cut at 4 KiB. str1 and str2 are set as libvirt does it ("operation forbidden:
// %s" and the rest), so that clients that look at them find what they expect.
void append_error_reply(base::Buffer& to, const Header& call, const Fault& fault);

// What a reply with status error says, for logs and for deciding: its code and its message, empty
// when it is malformed.
struct RemoteError {
  std::int32_t code = 0;
  std::string text;
};
RemoteError decode_error(base::Bytes body);

}  // namespace policy
