#include "tests/unit/support/io.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tunnel/io/address.h"

namespace test {

using tunnel::io::Milliseconds;
using tunnel::io::Timer;

void Recorder::tell(std::string_view event) {
  if (at) at(event);
}

void Recorder::on_stage(tunnel::io::Stage stage) {
  stages.push_back(stage);
  tell("stage");
}

void Recorder::on_open() {
  CHECK(!opened);
  CHECK(!closed());
  opened = true;
  tell("open");
}

void Recorder::on_data(base::Bytes bytes) {
  CHECK(opened);
  CHECK(!ended);
  CHECK(!closed());
  CHECK(!bytes.empty());
  data += base::text_of(bytes);
  tell("data");
}

void Recorder::on_end() {
  CHECK(opened);
  CHECK(!ended);
  CHECK(!closed());
  ended = true;
  tell("end");
}

void Recorder::on_drain() {
  CHECK(!closed());
  CHECK(stream->queued() <= tunnel::io::Stream::kLowMark);
  ++drained;
  tell("drain");
}

void Recorder::on_closed(const tunnel::io::Reason& why) {
  CHECK(!closed());
  reason = why;
  stream.reset();
  tell("closed");
}

void run_until(tunnel::io::Loop& loop, const std::function<bool()>& done) {
  const Milliseconds limit = loop.clock().now() + Milliseconds(60000);
  Timer look(loop.clock(), [&] {
    if (done() || loop.clock().now() > limit) return loop.stop();
    look.start(Milliseconds(1));
  });
  look.start(Milliseconds(0));
  loop.run();
  REQUIRE(done());
}

void run_for(tunnel::io::Loop& loop, Milliseconds time) {
  Timer end(loop.clock(), [&] { loop.stop(); });
  end.start(time);
  loop.run();
}

std::pair<int, int> socket_pair(Kind kind) {
  if (kind == Kind::tcp) {
    const TcpServer server;
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = tunnel::io::address_literal("127.0.0.1", server.port());
    REQUIRE(connect(client, address->raw(), address->length) == 0);
    return {client, server.accept()};
  }
  std::array<int, 2> fds{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {fds[0], fds[1]};
}

TcpServer::TcpServer(int backlog, bool v6)
    : fd_(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  auto address = tunnel::io::address_literal(v6 ? "::1" : "127.0.0.1", 0);
  REQUIRE(bind(fd_, address->raw(), address->length) == 0);
  REQUIRE(listen(fd_, backlog) == 0);
  socklen_t length = sizeof address->storage;
  REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address->storage), &length) == 0);
  sockaddr_in in{};
  std::memcpy(&in, &address->storage, sizeof in);
  port_ = ntohs(in.sin_port);
}

TcpServer::~TcpServer() { stop(); }

int TcpServer::accept() const {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);
  return fd;
}

void TcpServer::stop() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int unix_server(const std::string& path, int backlog) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = tunnel::io::unix_address(path);
  REQUIRE(address.ok());
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address->raw), address->length) == 0);
  if (backlog >= 0) REQUIRE(listen(fd, backlog) == 0);
  return fd;
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace test
