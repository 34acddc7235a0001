#include "tunnel/io/tcp_socket.h"

#include <cerrno>

#include <sys/socket.h>

#include "tunnel/io/address.h"

namespace tunnel::io {
namespace {

constexpr int kBacklog = 64;

}  // namespace

base::Result<std::unique_ptr<TcpSocket>, std::string> TcpSocket::bind(const std::string& host,
                                                                      std::uint16_t port) {
  const auto address = address_literal(host, port);
  if (!address) return base::Failure{host + ": this is no address"};
  const auto failed = [&](const std::string& doing) {
    return base::Failure{address->text() + ": " + doing + ": " + base::system_words(errno)};
  };
  const int fd = socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("cannot make a socket");
  std::unique_ptr<TcpSocket> made(new TcpSocket(fd));
  // Or a restart would have to wait until old connections are forgotten.
  const int yes = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
    return failed("cannot prepare it");
  }
  if (::bind(fd, address->raw(), address->length) != 0) return failed("cannot bind it");
  if (listen(fd, kBacklog) != 0) return failed("cannot listen");
  return made;
}

}  // namespace tunnel::io
