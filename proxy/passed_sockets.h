// Listening sockets that the service manager made and passed on, as sd_listen_fds(3) has it: they
// outlive this process, so clients can connect while it starts anew.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tunnel/io/local_socket.h"

namespace proxy {

struct PassedSocket {
  std::string name;  // FileDescriptorName= of the socket unit
  std::unique_ptr<tunnel::io::LocalSocket> socket;
};

class PassedSockets {
 public:
  // Takes over what the environment announces to this process, and the announcement out of the
  // environment. The error says which descriptor is no Unix socket that listens.
  static base::Result<PassedSockets, std::string> take();

  // The one that is bound to `path` (@ for the abstract namespace), as it is spelled there; its
  // socket is null when none is, or somebody has claimed it.
  PassedSocket claim(std::string_view path);

  // Those that nobody has claimed: "/run/a (a.socket), /run/b (b.socket)". Empty: none.
  [[nodiscard]] std::string unclaimed() const;

 private:
  std::vector<PassedSocket> sockets_;
};

}  // namespace proxy
