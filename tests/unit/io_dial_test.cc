// A dial tries each socket or address, gives up at its deadline, says what each one answered, and
// leaves nothing behind when it is closed at any step.
#include <array>
#include <csignal>
#include <optional>

#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/io/address.h"
#include "tunnel/io/connect.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::connect_tcp;
using tunnel::io::connect_unix;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

constexpr Milliseconds kLong{8000};
constexpr Milliseconds kShort{60};

int try_connect(int domain, const sockaddr* address, socklen_t length) {
  const int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connect(fd, address, length) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

// A listener whose queue is full.
struct FullServer {
  explicit FullServer(const std::string& path) : server(unix_server(path, 0)) {
    const auto address = tunnel::io::unix_address(path);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address->raw);
    for (;;) {
      const int fd = try_connect(AF_UNIX, raw, address->length);
      if (fd < 0) break;
      clients.push_back(fd);
    }
    REQUIRE(!clients.empty());
  }
  ~FullServer() {
    for (const int fd : clients) close(fd);
    close(server);
  }
  int server;
  std::vector<int> clients;
};

// One to which the kernel answers nothing, since its queue is full.
struct Silent {
  Silent() : server(0) {
    const auto address = tunnel::io::address_literal("127.0.0.1", server.port());
    for (int i = 0; i < 4; ++i) {
      clients.push_back(try_connect(AF_INET, address->raw(), address->length));
    }
    usleep(20'000);
  }
  ~Silent() {
    for (const int fd : clients) close(fd);
  }
  TcpServer server;
  std::vector<int> clients;
};

void run_to_end(Loop& loop, Recorder& recorder) {
  recorder.open();
  CHECK(!recorder.closed());
  run_until(loop, [&] { return recorder.closed(); });
}

TEST_CASE("a unix stream goes to the first socket that answers") {
  const TemporaryFolder folder;
  Loop loop;
  close(unix_server(folder / "stale", 5));
  const int server = unix_server(folder / "live", 5);
  Recorder a(connect_unix(loop, {folder / "none", folder / "stale", folder / "live"}, kLong));
  a.open();
  a.write("hello");
  run_until(loop, [&] { return a.opened; });
  CHECK(a.stages == std::vector<Stage>{Stage::connect, Stage::established});
  const int peer = accept(server, nullptr, nullptr);
  run_until(loop, [&] { return a.stream->queued() == 0; });
  a.close();
  loop.run();
  CHECK(read_all(peer) == "hello");
  close(peer);
  close(server);
}

TEST_CASE("a unix stream that reaches nobody says what each path answered") {
  const TemporaryFolder folder;
  Loop loop;
  close(unix_server(folder / "stale", 5));
  const std::string longer = "/" + std::string(150, 'x');
  Recorder a(connect_unix(loop, {folder / "none", folder / "stale", longer}, kLong));
  run_to_end(loop, a);
  CHECK(a.reason->kind == Reason::Kind::system);
  CHECK(a.reason->stage == Stage::connect);
  CHECK(a.reason_text() == folder / "none" + ": No such file or directory; " + (folder / "stale") +
                               ": Connection refused; " + longer +
                               ": the name has 151 bytes, and a socket's may have 107");
  Recorder none(connect_unix(loop, {}, kLong));
  run_to_end(loop, none);
  CHECK(none.reason_text() == "no socket is named");
}

TEST_CASE("a unix stream reaches the abstract namespace") {
  const std::string name = "@virtgate-dial-" + std::to_string(getpid());
  const int server = unix_server(name, 5);
  Loop loop;
  Recorder a(connect_unix(loop, {name}, kLong));
  a.open();
  run_until(loop, [&] { return a.opened; });
  a.close();
  loop.run();
  close(server);
}

TEST_CASE("a unix listener with a full queue is waited for") {
  const TemporaryFolder folder;
  FullServer full(folder / "sock");
  Loop loop;
  Recorder a(connect_unix(loop, {folder / "sock"}, kLong));
  a.open();
  run_for(loop, Milliseconds(20));
  CHECK(!a.opened);
  CHECK(!a.closed());
  close(accept(full.server, nullptr, nullptr));
  run_until(loop, [&] { return a.opened; });
  a.close();
  loop.run();
}

TEST_CASE("a unix listener whose queue stays full is given up at the deadline") {
  const TemporaryFolder folder;
  const FullServer full(folder / "sock");
  Loop loop;
  Recorder a(connect_unix(loop, {folder / "none", folder / "sock"}, kShort));
  run_to_end(loop, a);
  CHECK(a.reason->kind == Reason::Kind::timeout);
  CHECK(a.reason->stage == Stage::connect);
  CHECK_THAT(a.reason_text(), Contains("none: No such file or directory; "));
  CHECK_THAT(a.reason_text(), Contains("sock: too many connections wait there, for 60 ms"));
}

TEST_CASE("a tcp stream to an address needs no look-up") {
  const TcpServer server;
  Loop loop;
  Recorder a(connect_tcp(loop, "127.0.0.1", server.port(), {}));
  a.open();
  a.write("hello");
  run_until(loop, [&] { return a.opened; });
  CHECK(a.stages == std::vector<Stage>{Stage::connect, Stage::established});
  const int peer = server.accept();
  run_until(loop, [&] { return a.stream->queued() == 0; });
  a.close();
  loop.run();
  CHECK(read_all(peer) == "hello");
  close(peer);
}

TEST_CASE("a tcp stream to a name looks it up, and tries all its addresses") {
  TcpServer server;
  Loop loop;
  Recorder a(connect_tcp(loop, "localhost", server.port(), {}));
  a.open();
  run_until(loop, [&] { return a.opened; });
  CHECK(a.stages == std::vector<Stage>{Stage::look_up, Stage::connect, Stage::established});
  a.close();
  loop.run();
  server.stop();
  Recorder b(connect_tcp(loop, "localhost", server.port(), {}));
  run_to_end(loop, b);
  CHECK_THAT(b.reason_text(),
             Contains("127.0.0.1:" + std::to_string(server.port()) + ": Connection refused"));
}

TEST_CASE("IPv6 addresses are reached and shown in brackets") {
  Loop loop;
  std::uint16_t port = 0;
  {
    const TcpServer server(5, true);
    port = server.port();
    Recorder a(connect_tcp(loop, "::1", port, {}));
    a.open();
    run_until(loop, [&] { return a.opened; });
    a.close();
    loop.run();
  }
  Recorder b(connect_tcp(loop, "::1", port, {}));
  run_to_end(loop, b);
  CHECK(b.reason_text() == "[::1]:" + std::to_string(port) + ": Connection refused");
}

TEST_CASE("a refused tcp connection says which address and why") {
  Loop loop;
  TcpServer server;
  const std::uint16_t port = server.port();
  server.stop();
  Recorder a(connect_tcp(loop, "127.0.0.1", port, {}));
  run_to_end(loop, a);
  CHECK(a.reason->kind == Reason::Kind::system);
  CHECK(a.reason->stage == Stage::connect);
  CHECK(a.reason_text() == "127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

TEST_CASE("a host that does not answer is given up at the deadline") {
  const Silent silent;
  Loop loop;
  Recorder a(connect_tcp(loop, "127.0.0.1", silent.server.port(), {kLong, kShort}));
  run_to_end(loop, a);
  CHECK(!a.opened);
  CHECK(a.reason->kind == Reason::Kind::timeout);
  CHECK(a.reason->stage == Stage::connect);
  CHECK_THAT(a.reason_text(), Contains(": no answer"));
}

TEST_CASE("names that are none do not reach the resolver") {
  const std::string host = GENERATE(std::string(), std::string("a\0b", 3), std::string(254, 'a'));
  Loop loop;
  Recorder a(connect_tcp(loop, host, 1, {}));
  run_to_end(loop, a);
  CHECK(a.reason->kind == Reason::Kind::refused);
  CHECK(a.reason->stage == Stage::look_up);
}

TEST_CASE("a name that cannot be looked up fails in that stage") {
  Loop loop;
  // RFC 6761: no resolver knows it.
  Recorder a(connect_tcp(loop, "virtgate-unit.invalid", 1, {kLong, kLong}));
  run_to_end(loop, a);
  CHECK(a.reason->stage == Stage::look_up);
  CHECK_THAT(a.reason_text(), Contains("virtgate-unit.invalid: "));
}

TEST_CASE("addresses of this host and its link are refused where they are to be") {
  Loop loop;
  tunnel::io::ConnectOptions options;
  options.local_addresses = false;
  const TcpServer server;
  const std::string host =
      GENERATE("127.0.0.1", "127.255.0.9", "0.0.0.0", "169.254.169.254", "::1", "::", "fe80::1",
               "::ffff:127.0.0.1", "::ffff:169.254.1.1", "localhost", "2130706433", "0x7f.1");
  Recorder a(connect_tcp(loop, host, server.port(), options));
  CAPTURE(host);
  run_to_end(loop, a);
  CHECK_THAT(a.reason_text(), Contains("an address of this host or of its link"));
  std::array<pollfd, 1> waiting{{{server.fd(), POLLIN, 0}}};
  CHECK(poll(waiting.data(), 1, 0) == 0);
}

TEST_CASE("an address of this host is known, whatever it is") {
  ifaddrs* all = nullptr;
  REQUIRE(getifaddrs(&all) == 0);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    const auto address = tunnel::io::address_of(one->ifa_addr, 16509);
    if (!address) continue;
    CAPTURE(address->text());
    CHECK(tunnel::io::leads_to_this_host(*address));
  }
  freeifaddrs(all);
  CHECK(tunnel::io::leads_to_this_host(*tunnel::io::address_literal("127.0.0.1", 1)));
  for (const char* host : {"192.0.2.1", "2001:db8::1"}) {
    CHECK_FALSE(tunnel::io::leads_to_this_host(*tunnel::io::address_literal(host, 1)));
  }
}

TEST_CASE("addresses that are far away are not local") {
  const std::string host = GENERATE("192.0.2.1", "10.0.0.1", "169.253.1.1", "128.0.0.1",
                                    "2001:db8::1", "::ffff:192.0.2.1", "fec0::1", "fd00::1");
  CAPTURE(host);
  CHECK_FALSE(tunnel::io::address_literal(host, 1)->is_local());
}

// Closes the stream after k turns of the loop, for every k until it opens first.
TEST_CASE("a close at any step of dialing leaves nothing behind") {
  const TemporaryFolder folder;
  const bool tcp = GENERATE(false, true);
  const TcpServer server;
  const int unix_one = unix_server(folder / "sock", 4096);
  bool through = false;
  for (int k = 0; !through; ++k) {
    REQUIRE(k < 2000);
    Loop loop;
    Recorder a(tcp ? connect_tcp(loop, "localhost", server.port(), {})
                   : connect_unix(loop, {folder / "none", folder / "sock"}, kLong));
    int turns = 0;
    tunnel::io::Timer each(loop.clock(), [&] {
      if (turns++ == k) return a.close();
      each.start(Milliseconds(0));
    });
    each.start(Milliseconds(0));
    a.at = [&](std::string_view event) {
      if (event != "open") return;
      through = turns <= k;
      each.stop();
      a.close();
    };
    a.open();
    run_until(loop, [&] { return a.closed(); });
    CHECK(a.reason->kind == Reason::Kind::requested);
  }
  close(unix_one);
}

}  // namespace
}  // namespace test
