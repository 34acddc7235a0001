// The process's own standard input and output as one stream: what a bridge between them and a
// daemon is to the layer above it. They may be two pipes, one socket or two, or files.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

class Loop;

struct StandardFds {
  int in = -1;
  int out = -1;
};

struct StandardFault {
  bool terminal = false;  // what is there is a terminal, and nothing else is wrong
  std::string text;
};

// Takes standard input and output away from the rest of the process, for which /dev/null takes
// their place: nothing else can read or write there by mistake, and a child inherits neither. A
// standard error that is not open becomes /dev/null too, or the next descriptor would be taken for
// it. So this comes first in a process. Whoever gets the descriptors closes them. What is no pipe,
// no stream socket and no file, and what is not open, is a fault; then nothing has been taken.
base::Result<StandardFds, StandardFault> take_standard_streams();

// Reads from `in` and writes to `out`, both closed by the stream, opened or not. O_NONBLOCK, which
// belongs to everybody who shares an open file, is what it was when the stream closes.
//
// Other than a socket's, this stream closes by itself as an end when end() was called and all that
// was written has been taken: a pipe's reader can only be told by closing. A pipe whose reader has
// gone closes it at once, and not only when something is written.
std::unique_ptr<Stream> join_fds(Loop& loop, int in, int out);

}  // namespace tunnel::io
