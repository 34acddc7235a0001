// A listening socket has its mode and group, replaces only a socket on which nobody listens, and
// loses no client when descriptors run out.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/scarcity.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/io/address.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/descriptors.h"
#include "tunnel/io/listener.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Listener;
using tunnel::io::LocalAddress;
using tunnel::io::LocalSocket;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Peer;
using tunnel::io::Stream;

std::string error_of(const LocalAddress& address) {
  const auto socket = LocalSocket::bind(address);
  REQUIRE(!socket.ok());
  return socket.error();
}

std::unique_ptr<LocalSocket> bound(const LocalAddress& address) {
  auto socket = LocalSocket::bind(address);
  INFO((socket.ok() ? "" : socket.error()));
  REQUIRE(socket.ok());
  return std::move(socket).value();
}

bool exists(const std::string& path) {
  struct stat file {};
  return lstat(path.c_str(), &file) == 0;
}

int connected(const std::string& name) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const auto address = tunnel::io::unix_address(name);
  REQUIRE(address.ok());
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address->raw), address->length) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

std::vector<int> many_connected(const std::string& name, std::size_t count) {
  std::vector<int> out(count);
  std::ranges::generate(out, [&] { return connected(name); });
  return out;
}

void poll_in(int fd) {
  pollfd wait{fd, POLLIN, 0};
  poll(&wait, 1, 10000);
}

struct Door final : tunnel::io::ListenerOwner {
  void on_accept(std::unique_ptr<Stream> stream, const Peer& peer) override {
    peers.push_back(peer);
    streams.push_back(std::move(stream));
    if (then) then();
  }
  void on_accept_failed(const std::string& text) override { failures.push_back(text); }
  [[nodiscard]] tunnel::io::Standing standing(uid_t uid) const override {
    return {uid, most_waiting};
  }
  void on_left(uid_t) override { ++left; }
  void on_turned_away(uid_t) override { ++turned_away; }

  std::size_t most_waiting = 1000;
  std::size_t left = 0;
  std::size_t turned_away = 0;
  std::function<void()> then;
  std::vector<Peer> peers;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::string> failures;
};

TEST_CASE("a local socket has its mode and group, and takes its file with it") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  const mode_t mode = GENERATE(0600U, 0660U, 0666U, 0777U);
  {
    const auto socket = bound({path, mode, getgid()});
    struct stat file {};
    REQUIRE(stat(path.c_str(), &file) == 0);
    CHECK(S_ISSOCK(file.st_mode));
    CHECK((file.st_mode & 07777) == mode);
    CHECK(file.st_gid == getgid());
    CHECK(socket->name() == path);
    CHECK((fcntl(socket->fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(!exists(path + ".lock"));
    const int client = connected(path);
    CHECK(client >= 0);
    close(client);
  }
  CHECK(!exists(path));
}

TEST_CASE("an abstract socket needs no file") {
  const std::string name = "@virtgate-unit-" + std::to_string(getpid());
  {
    const auto socket = bound({name, 0600, {}});
    const int client = connected(name);
    CHECK(client >= 0);
    close(client);
    CHECK_THAT(error_of({name, 0600, {}}), Contains("someone already listens there"));
  }
  CHECK(connected(name) == -1);
  CHECK(bound({name, 0600, {}}) != nullptr);
}

TEST_CASE("an abstract name can fill the whole of its address") {
  const std::string name = "@virtgate-padded-" + std::to_string(getpid());
  const auto socket = bound({name, 0600, {}, true});
  CHECK(socket->name() == name);
  CHECK(connected(name) == -1);
  auto whole = *tunnel::io::unix_address(name);
  whole.length = sizeof whole.raw;
  const base::Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(connect(client.get(), reinterpret_cast<const sockaddr*>(&whole.raw), whole.length) == 0);
  CHECK_THAT(error_of({name, 0600, {}, true}), Contains("someone already listens there"));
  CHECK(bound({name, 0600, {}}) != nullptr);
}

TEST_CASE("a socket on which nobody answers is replaced") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  close(unix_server(path, GENERATE(-1, 5)));
  REQUIRE(exists(path));
  const auto socket = bound({path, 0600, {}});
  const int client = connected(path);
  CHECK(client >= 0);
  close(client);
}

TEST_CASE("a socket on which somebody listens stays, also when the queue is full") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  const int server = unix_server(path, 0);
  std::vector<int> clients;
  if (GENERATE(false, true)) {
    for (int fd = connected(path); fd >= 0; fd = connected(path)) clients.push_back(fd);
  }
  CHECK(error_of({path, 0600, {}}) == path + ": someone already listens there");
  CHECK(exists(path));
  CHECK(!exists(path + ".lock"));
  for (const int fd : clients) close(fd);
  close(server);
}

TEST_CASE("one of our own is never taken away, and a second one does not remove its file") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  const auto first = bound({path, 0600, {}});
  CHECK_THAT(error_of({path, 0600, {}}), Contains("someone already listens there"));
  const int client = connected(path);
  CHECK(client >= 0);
  close(client);
}

TEST_CASE("what is no socket is never touched") {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  std::ofstream(path) << "precious";
  CHECK(error_of({path, 0600, {}}) == path + ": there is a file that is no socket");
  const std::string link = folder / "link";
  REQUIRE(symlink(path.c_str(), link.c_str()) == 0);
  CHECK_THAT(error_of({link, 0600, {}}), Contains("no socket"));
  std::string content;
  std::getline(std::ifstream(path), content);
  CHECK(content == "precious");
}

TEST_CASE("a file that took the place of ours stays when we go") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  auto socket = bound({path, 0600, {}});
  REQUIRE(unlink(path.c_str()) == 0);
  const int other = unix_server(path, 5);
  socket.reset();
  CHECK(exists(path));
  close(other);
}

TEST_CASE("addresses that cannot be are refused with what is wrong") {
  const TemporaryFolder folder;
  CHECK_THAT(error_of({"", 0600, {}}), Contains("empty"));
  CHECK_THAT(error_of({"@", 0600, {}}), Contains("empty"));
  CHECK_THAT(error_of({std::string("/a\0b", 4), 0600, {}}), Contains("NUL"));
  CHECK_THAT(error_of({"/" + std::string(107, 'x'), 0600, {}}), Contains("107"));
  CHECK_THAT(error_of({"@" + std::string(108, 'x'), 0600, {}}), Contains("107"));
  CHECK(bound({"@" + std::string(107, 'x'), 0600, {}}) != nullptr);
  CHECK_THAT(error_of({folder / "none/sock", 0600, {}}), Contains("No such file or directory"));
}

TEST_CASE("the longest path can be bound and reached") {
  const TemporaryFolder folder;
  std::string path = folder / "";
  path += std::string(107 - path.size(), 'x');
  const auto socket = bound({path, 0600, {}});
  CHECK(exists(path));
  const int client = connected(path);
  CHECK(client >= 0);
  close(client);
}

TEST_CASE("a path that stays locked is an error") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  REQUIRE(mkdir((path + ".lock").c_str(), 0700) == 0);
  CHECK_THAT(error_of({path, 0600, {}}), Contains(".lock"));
  CHECK(!exists(path));
}

TEST_CASE("a listening socket from outside is used, and its file left alone") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  {
    auto socket = LocalSocket::adopt(unix_server(path, 5));
    REQUIRE(socket.ok());
    CHECK((*socket)->name() == path);
    Loop loop;
    Door door;
    const Listener listener(loop, std::move(socket).value(), door);
    const int client = connected(path);
    run_until(loop, [&] { return door.peers.size() == 1; });
    close(client);
  }
  CHECK(exists(path));
  CHECK(!LocalSocket::adopt(unix_server(folder / "other", -1)).ok());
  CHECK(!LocalSocket::adopt(open("/dev/null", O_RDONLY | O_CLOEXEC)).ok());
  CHECK(!LocalSocket::adopt(-1).ok());
}

// In a child: connects as somebody in `count` groups from 5000 on, if it may choose, and stays.
[[noreturn]] void be_client(const std::string& path, gid_t count) {
  std::vector<gid_t> groups;
  for (gid_t g = 5000; g < 5000 + count; ++g) groups.push_back(g);
  if (getuid() == 0 && (setgroups(groups.size(), groups.data()) != 0 || setgid(1234) != 0)) {
    _exit(1);
  }
  const int fd = connected(path);
  char byte = 0;
  if (fd >= 0) poll_in(fd);
  _exit(fd >= 0 && read(fd, &byte, 1) <= 0 ? 0 : 2);
}

TEST_CASE("a client comes with who it is, however many groups it is in") {
  const gid_t count = GENERATE(gid_t{2}, gid_t{1000});
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  const Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  const pid_t child = fork();
  if (child == 0) be_client(folder / "sock", count);
  run_until(loop, [&] { return door.peers.size() == 1; });
  const bool chosen = getuid() == 0;
  const Peer& peer = door.peers[0];
  CHECK(peer.uid == getuid());
  CHECK(peer.gid == (chosen ? 1234 : getgid()));
  CHECK(peer.pid == child);
  CHECK(peer.in_group(peer.gid));
  for (gid_t g = 5000; g < 5000 + count; ++g) {
    if (peer.in_group(g) != chosen) FAIL_CHECK(g);
  }
  CHECK(!peer.in_group(5000 + count));
  door.streams.clear();
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

// Each of many that start at the same time on the same stale file; says through its exit status
// whether it got the path, and holds it until all have tried.
[[noreturn]] void contend(const std::string& path, int start, int done) {
  char byte = 0;
  if (read(start, &byte, 1) != 0) _exit(3);
  const auto socket = LocalSocket::bind({path, 0600, {}});
  const bool won = socket.ok() && connected(path) >= 0;
  const bool clear = socket.ok() || socket.error().ends_with("someone already listens there");
  if (write(done, won ? "w" : "l", 1) != 1) _exit(4);
  while (read(done, &byte, 1) > 0) {
  }
  _exit(clear ? 0 : 5);
}

TEST_CASE("of many that start at once on a stale socket exactly one gets it") {
  const TemporaryFolder folder;
  const std::string path = folder / "sock";
  for (int round = 0; round < 5; ++round) {
    close(unix_server(path, 5));
    std::array<int, 2> start{};
    std::array<int, 2> done{};
    REQUIRE(pipe2(start.data(), O_CLOEXEC) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, done.data()) == 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      close(start[1]);
      close(done[0]);
      contend(path, start[0], done[1]);
    }
    close(start[0]);
    close(start[1]);
    close(done[1]);
    std::string outcome;
    char byte = 0;
    while (outcome.size() < children.size() && read(done[0], &byte, 1) == 1) outcome += byte;
    close(done[0]);
    CHECK(std::count(outcome.begin(), outcome.end(), 'w') == 1);
    CHECK(outcome.size() == children.size());
    for (const pid_t child : children) {
      int status = -1;
      REQUIRE(waitpid(child, &status, 0) == child);
      CHECK(status == 0);
    }
    unlink(path.c_str());
  }
}

TEST_CASE("an accepted stream carries bytes, and outlives its listener") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  auto listener = std::make_unique<Listener>(loop, bound({folder / "sock", 0600, {}}), door);
  Recorder client(tunnel::io::connect_unix(loop, {folder / "sock"}, Milliseconds(5000)));
  client.open();
  client.write("hello");
  run_until(loop, [&] { return door.streams.size() == 1; });
  listener.reset();
  CHECK(connected(folder / "sock") == -1);
  Recorder server(std::move(door.streams[0]));
  server.open();
  run_until(loop, [&] { return server.data == "hello"; });
  server.close();
  run_until(loop, [&] { return server.closed() && client.ended; });
  client.close();
  loop.run();
}

TEST_CASE("a listener may be destroyed while it accepts") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  auto listener = std::make_unique<Listener>(loop, bound({folder / "sock", 0600, {}}), door);
  const std::vector<int> clients = many_connected(folder / "sock", 5);
  door.then = [&] { listener.reset(); };
  loop.run();
  CHECK(door.peers.size() == 1);
  for (const int fd : clients) close(fd);
}

TEST_CASE("a paused listener leaves clients waiting") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  listener.pause();
  const std::vector<int> clients = many_connected(folder / "sock", 100);
  run_for(loop, Milliseconds(20));
  CHECK(door.peers.empty());
  listener.resume();
  run_until(loop, [&] { return !door.peers.empty(); });
  door.then = [&] { listener.pause(); };
  const std::size_t before = door.peers.size();
  listener.pause();
  listener.resume();
  run_until(loop, [&] { return door.peers.size() > before || before == 100; });
  door.then = nullptr;
  listener.resume();
  run_until(loop, [&] { return door.peers.size() == 100; });
  for (const int fd : clients) close(fd);
}

TEST_CASE("a turn of the loop takes only some of those who wait") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  const Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  const std::vector<int> clients = many_connected(folder / "sock", 100);
  std::size_t turns = 0;
  std::size_t most = 0;
  std::size_t before = 0;
  std::function<void()> turn;
  tunnel::io::Timer timer(loop.clock(), [&] { turn(); });
  turn = [&] {
    ++turns;
    most = std::max(most, door.peers.size() - std::exchange(before, door.peers.size()));
    timer.start(Milliseconds(0));
  };
  timer.start(Milliseconds(0));
  run_until(loop, [&] { return door.peers.size() == 100; });
  CHECK(most <= Listener::kOfTurn);
  CHECK(turns >= 100 / Listener::kOfTurn);
  for (const int fd : clients) close(fd);
}

TEST_CASE("a listener that goes gives those who wait to its owner") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  auto listener = std::make_unique<Listener>(loop, bound({folder / "sock", 0600, {}}), door);
  const std::vector<int> clients = many_connected(folder / "sock", 30);
  door.then = [&] { loop.stop(); };
  loop.run();
  CHECK(door.peers.size() == Listener::kOfTurn);
  listener->take_all();
  CHECK(door.peers.size() == 30);
  listener.reset();
  for (const int fd : clients) close(fd);
}

TEST_CASE("nothing is made of clients that went before they said anything") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  const Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  for (int i = 0; i < 20; ++i) close(connected(folder / "sock"));
  const int spoke = connected(folder / "sock");
  REQUIRE(write(spoke, "x", 1) == 1);
  close(spoke);
  const int stays = connected(folder / "sock");
  run_until(loop, [&] { return door.peers.size() == 2; });
  CHECK(door.left == 20);
  CHECK(door.turned_away == 0);
  close(stays);
}

TEST_CASE("clients beyond those of a user that may wait are ended unheard") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  door.most_waiting = 10;
  Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  const std::vector<int> clients = many_connected(folder / "sock", 50);
  door.then = [&] { door.most_waiting = 0; };
  run_until(loop, [&] { return door.peers.size() + door.turned_away == 50; });
  CHECK(door.peers.size() == 10);
  std::size_t ended = 0;
  for (const int fd : clients) {
    char byte = 0;
    if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0) ++ended;
    close(fd);
  }
  CHECK(ended == 40);
}

TEST_CASE("clients that come when descriptors have run out wait until there are some") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  const Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  const std::vector<int> clients = many_connected(folder / "sock", 10);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(clients.back()) + 4;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  run_until(loop, [&] { return !door.failures.empty(); });
  run_for(loop, Milliseconds(250));
  const std::size_t taken = door.peers.size();
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(taken < 10);
  CHECK(door.failures.size() == 1);
  CHECK_THAT(door.failures[0], Contains("Too many open files"));
  run_until(loop, [&] { return door.peers.size() == 10; });
  // None of them was dropped.
  for (const int fd : clients) {
    char byte = 0;
    CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == -1);
    CHECK(errno == EAGAIN);
    close(fd);
  }
}

TEST_CASE("one client at a time is taken to be told that there are no descriptors") {
  const TemporaryFolder folder;
  Loop loop;
  Door door;
  Listener listener(loop, bound({folder / "sock", 0600, {}}), door);
  const std::vector<int> clients = many_connected(folder / "sock", 3);
  CHECK_FALSE(listener.is_short());
  {
    const Scarcity scarcity;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      run_until(loop, [&] { return door.peers.size() == i + 1; });
      CHECK(listener.is_short());
      run_for(loop, Milliseconds(250));
      CHECK(door.peers.size() == i + 1);
      door.streams.clear();
      run_for(loop, Milliseconds(1));
    }
    CHECK(door.failures.size() == 1);
  }
  CHECK_FALSE(listener.is_short());
  for (const int fd : clients) close(fd);
}

TEST_CASE("the limit of open files is raised to what is allowed") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = 64;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK(tunnel::io::raise_descriptor_limit() == before.rlim_max);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

}  // namespace
}  // namespace test
