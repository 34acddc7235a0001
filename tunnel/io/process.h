// A child whose standard input and output are a stream.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

class Loop;

struct Command {
  // The program and what it gets; no shell reads them. A program without a slash is looked for in
  // the PATH of `environment`.
  std::vector<std::string> arguments;
  // "NAME=value"; nothing else is passed on.
  std::vector<std::string> environment;
  // The child leads a session of its own: it cannot reach our terminal, and its children get the
  // signals that end it.
  bool new_session = false;
  // How long the program's file may keep us waiting before it is started.
  Milliseconds look{5000};
  // How long it may take to end after SIGTERM, before it gets SIGKILL.
  Milliseconds patience{2000};
  // Gets its standard error, line by line, as Lines cuts it. May be empty. Foreign text.
  std::function<void(std::string_view line)> on_line;
};

// The child is started when the stream is opened and the program's file has been read from, beside
// the loop: to start one waits until the system has it, for ever where a file server is gone. Its
// standard input and output are one socket, as libvirt does it, so the end of one comes with the
// end of both. It inherits no other descriptor.
//
// When the child ends, the stream closes after what it had written was delivered: as an end if its
// exit status is 0, else with a reason such as "nc ended with exit status 1: Connection refused",
// the last line of its standard error. The stage is `connect` as long as it has said nothing. A
// child that closes its output and lives on is heard as on_end().
//
// Closing the stream ends the child: SIGTERM, then SIGKILL. on_closed() comes when it has been
// reaped, or after another `patience` if even SIGKILL does not end it.
std::unique_ptr<Stream> run_process(Loop& loop, Command command);

// Of our own environment, the variables of these names that are set, as "NAME=value".
std::vector<std::string> own_environment(std::initializer_list<const char*> names);

}  // namespace tunnel::io
