// Listening sockets that the service manager made and passed on, as sd_listen_fds(3) has it: they
// outlive this process, so clients can connect while it starts anew.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tunnel/io/local_socket.h"

namespace proxy {

struct PassedSocket {
  std::string name;  // FileDescriptorName= of the socket unit
  std::unique_ptr<tunnel::io::LocalSocket> socket;
};

class PassedSockets {
 public:
  // Takes over what the environment announces to this process, and the announcement out of the
  // environment.
  static PassedSockets take();

  // The one that is bound to `path` (@ for the abstract namespace), as it is spelled there; its
  // socket is null when none is, or somebody has claimed it.
  PassedSocket claim(std::string_view path);

  // Those that nobody has claimed.
  std::vector<PassedSocket> rest() { return std::move(sockets_); }
  // What was passed and cannot be used, such as "passed as 'odd': this is no listening Unix
  // socket".
  [[nodiscard]] const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  std::vector<PassedSocket> sockets_;
  std::vector<std::string> wrong_;
};

}  // namespace proxy
