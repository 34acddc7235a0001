// A client that somebody brings to the gate and waits for.
#pragma once

#include <functional>
#include <optional>

#include "policy/error.h"
#include "tunnel/io/stream.h"

namespace proxy {

// What became of a client, for the one who accepted it.
struct ClientEnd {
  bool opened = false;                   // a target, at some time
  std::optional<policy::Fault> failure;  // why the last open failed, as the client was told
  tunnel::io::Reason reason;             // why the connection ended
};

// How a client is treated beyond what its listener says.
struct Guest {
  // Its calls are answered after it has said that it sends no more. One that comes by a socket has
  // gone then, and nobody should work for it.
  bool answer_after_end = false;
  // Called when the client has been destroyed. May be empty.
  std::function<void(const ClientEnd& end)> gone;
};

}  // namespace proxy
