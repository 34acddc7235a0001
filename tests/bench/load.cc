// A load of libvirt clients, as light as can be: one thread, one epoll, frames built by hand.
//
//   bench-load opens ADDRESS NAME TIME CLIENTS   whole connections, one after the other
//   bench-load calls ADDRESS NAME TIME CLIENTS   CONNECT_GET_LIB_VERSION on open connections
//   bench-load asks  ADDRESS NAME TIME CLIENTS PROCEDURE BODY[,BODY...]
//                                                the same with any call, which may fail; its bodies
//                                                are hexadecimal, and go round among the clients
//   bench-load paced ADDRESS NAME TIME EVERY PROCEDURE BODY
//                                                one client with a call due every so many
//                                                milliseconds, whose time counts from when it is
//                                                due, so that none that is late hides others
//   bench-load idle  ADDRESS NAME CLIENTS        open connections until standard input ends
//
// ADDRESS is unix:PATH or tcp:IPV4:PORT, and TIME in milliseconds. The answer is one line of JSON,
// with times in microseconds; "failed" counts calls.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kProgram = 0x20008086;
constexpr std::size_t kHeader = 28;
constexpr std::size_t kProcedure = 12;
constexpr std::size_t kStatus = 24;
// What a libvirtd says over TLS once it takes the client's certificate. Tunnels that end TLS hand
// it on; no frame begins with it.
constexpr char kAccepted = 1;

enum Procedure : std::uint32_t {
  kOpen = 1,
  kClose = 2,
  kAuthList = 66,
  kGetLibVersion = 157,
};

void put(std::string& to, std::uint32_t word) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>((word >> shift) & 0xff);
}

std::uint32_t get(std::string_view from, std::size_t offset) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    word = word << 8 | static_cast<unsigned char>(from[offset + i]);
  }
  return word;
}

std::string call(std::uint32_t procedure, std::string_view body = {}) {
  std::string frame;
  const std::uint32_t head[] = {
      static_cast<std::uint32_t>(kHeader + body.size()), kProgram, 1, procedure, 0, 0, 0};
  for (const std::uint32_t word : head) put(frame, word);
  frame += body;
  return frame;
}

std::string open_call(std::string_view name) {
  std::string body;
  put(body, 1);
  put(body, static_cast<std::uint32_t>(name.size()));
  body += name;
  body.append((4 - name.size() % 4) % 4, '\0');
  put(body, 1);
  return call(kOpen, body);
}

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

using Strings = std::vector<std::string>;

// Calls of one procedure, whose bodies are hexadecimal, with commas between them.
std::optional<Strings> calls_of(std::string_view procedure, std::string_view bodies) {
  Strings frames(1);
  for (std::size_t i = 0; i < bodies.size();) {
    if (bodies[i] == ',') {
      frames.emplace_back();
      ++i;
      continue;
    }
    const std::string_view pair = bodies.substr(i, 2);
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(pair.data(), pair.data() + pair.size(), byte, 16);
    if (error != std::errc() || end != pair.data() + 2) return std::nullopt;
    frames.back() += static_cast<char>(byte);
    i += 2;
  }
  const auto which = number(procedure);
  if (!which) return std::nullopt;
  for (std::string& frame : frames) frame = call(*which, frame);
  return frames;
}

class Address {
 public:
  // False: not an address.
  bool parse(std::string_view text) {
    if (text.starts_with("unix:")) return parse_unix(text.substr(5));
    if (text.starts_with("tcp:")) return parse_tcp(text.substr(4));
    return false;
  }

  // A connected socket; ends the program when there is none to be had.
  [[nodiscard]] int dial() const {
    const int fd = socket(storage_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    if (connect(fd, reinterpret_cast<const sockaddr*>(&storage_), length_) != 0) die("connect");
    const int on = 1;
    if (storage_.ss_family == AF_INET) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }

 private:
  bool parse_unix(std::string_view path) {
    sockaddr_un address{};
    if (path.size() >= sizeof address.sun_path) return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return keep(address);
  }

  bool parse_tcp(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    const auto port = number(text.substr(colon + 1));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (!port || *port > 65535) return false;
    address.sin_port = htons(static_cast<std::uint16_t>(*port));
    const std::string host(text.substr(0, colon));
    return inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1 && keep(address);
  }

  template <typename T>
  bool keep(const T& address) {
    std::memcpy(&storage_, &address, sizeof address);
    length_ = sizeof address;
    return true;
  }

  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

// One connection with at most one call on its way.
class Client {
 public:
  explicit Client(int fd) : fd_(fd) {}
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] int fd() const { return fd_; }

  void ask(std::string_view frame) const {
    if (send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frame.size())) {
      die("send");
    }
  }

  // Reads what is there; true when the reply is whole.
  bool receive() {
    if (held_ == reply_.size()) reply_.resize(2 * held_);
    const ssize_t got = recv(fd_, reply_.data() + held_, reply_.size() - held_, 0);
    if (got <= 0) die("recv");
    held_ += static_cast<std::size_t>(got);
    if (reply_[0] == kAccepted) std::copy_n(reply_.begin() + 1, --held_, reply_.begin());
    const std::string_view bytes(reply_.data(), held_);
    if (held_ < kHeader || held_ < get(bytes, 0)) return false;
    failed = get(bytes, kStatus) != 0;
    procedure_ = get(bytes, kProcedure);
    held_ = 0;
    return true;
  }

  // The same; an error ends the program.
  bool receive_good() {
    if (!receive()) return false;
    if (!failed) return true;
    std::fprintf(stderr, "bench-load: procedure %u failed\n", procedure_);
    std::exit(1);
  }

  // The reply to a call that nothing else is going on beside.
  void ask_and_wait(std::string_view frame) {
    ask(frame);
    while (!receive_good()) {
    }
  }

  bool failed = false;  // the last call
  std::size_t step = 0;
  Clock::time_point since;

 private:
  int fd_;
  std::uint32_t procedure_ = 0;
  std::size_t held_ = 0;
  std::vector<char> reply_ = std::vector<char>(4096);
};

using Clients = std::vector<std::unique_ptr<Client>>;

// How long each round took.
class Times {
 public:
  explicit Times(std::uint32_t milliseconds)
      : begin_(Clock::now()), end_(begin_ + std::chrono::milliseconds(milliseconds)) {}

  [[nodiscard]] bool over() const { return Clock::now() >= end_; }
  [[nodiscard]] Clock::time_point begin() const { return begin_; }
  [[nodiscard]] Clock::time_point end() const { return end_; }

  void add(Clock::time_point since) {
    times_.push_back(std::chrono::duration<double, std::micro>(Clock::now() - since).count());
  }

  void print(std::size_t failed = 0) {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    std::sort(times_.begin(), times_.end());
    std::printf("{\"rate\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"failed\": %zu}\n",
                static_cast<double>(times_.size()) / seconds, percentile(50), percentile(99),
                failed);
  }

 private:
  [[nodiscard]] double percentile(std::size_t percent) const {
    return times_.empty() ? 0 : times_[(times_.size() - 1) * percent / 100];
  }

  Clock::time_point begin_;
  Clock::time_point end_;
  std::vector<double> times_;
};

class Load {
 public:
  Load(const Address& address, std::string_view name)
      : address_(address), open_(open_call(name)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die("epoll_create1");
  }
  ~Load() { close(epoll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void opens(std::uint32_t milliseconds, std::uint32_t count) {
    const std::array<std::string, 4> steps = {auth_, open_, call_, call(kClose)};
    Times times(milliseconds);
    Clients clients(count);
    for (auto& client : clients) begin(client);
    each_reply(times, [&](Client& client) {
      if (!client.receive_good()) return;
      if (++client.step < steps.size()) {
        client.ask(steps[client.step]);
        return;
      }
      times.add(client.since);
      const auto same = [&client](const auto& one) { return one.get() == &client; };
      begin(*std::find_if(clients.begin(), clients.end(), same));
    });
    times.print();
  }

  void calls(std::uint32_t milliseconds, std::uint32_t count) {
    Clients clients = opened(count);
    Times times(milliseconds);
    for (auto& client : clients) {
      watch(*client);
      again(*client, call_);
    }
    each_reply(times, [&](Client& client) {
      if (!client.receive_good()) return;
      times.add(client.since);
      again(client, call_);
    });
    times.print();
  }

  void asks(std::uint32_t milliseconds, std::uint32_t count, const Strings& frames) {
    Clients clients = opened(count);
    Times times(milliseconds);
    std::size_t failed = 0;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      Client& client = *clients[i];
      client.step = i % frames.size();
      watch(client);
      again(client, frames[client.step]);
    }
    each_reply(times, [&](Client& client) {
      if (!client.receive()) return;
      failed += client.failed ? 1 : 0;
      times.add(client.since);
      again(client, frames[client.step]);
    });
    times.print(failed);
  }

  // What is not answered when the time is over counts as answered then.
  void paced(std::uint32_t milliseconds, std::chrono::milliseconds every, std::string_view frame) {
    const Clients clients = opened(1);
    Client& client = *clients.front();
    Times times(milliseconds);
    std::size_t failed = 0;
    bool answered = true;
    for (Clock::time_point due = times.begin(); due < times.end(); due += every) {
      if (answered) {
        std::this_thread::sleep_until(due);
        client.ask(frame);
        answered = wait(client, times.end());
        failed += answered && client.failed ? 1 : 0;
      }
      times.add(due);
    }
    times.print(failed);
  }

  void idle(std::uint32_t count) {
    const Clients clients = opened(count);
    std::printf("{\"clients\": %zu}\n", clients.size());
    std::fflush(stdout);
    char byte = 0;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
  }

 private:
  Clients opened(std::uint32_t count) {
    Clients clients;
    for (std::uint32_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<Client>(address_.dial()));
      for (const std::string& frame : {auth_, open_, call_}) clients.back()->ask_and_wait(frame);
    }
    return clients;
  }

  void begin(std::unique_ptr<Client>& client) {
    const Clock::time_point now = Clock::now();
    client = std::make_unique<Client>(address_.dial());
    client->since = now;
    watch(*client);
    client->ask(auth_);
  }

  static void again(Client& client, std::string_view frame) {
    client.since = Clock::now();
    client.ask(frame);
  }

  // False: nothing came until then.
  static bool wait(Client& client, Clock::time_point end) {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
      pollfd readable{client.fd(), POLLIN, 0};
      const int count = poll(&readable, 1, std::max(0, static_cast<int>(left.count())));
      if (count < 0) die("poll");
      if (count == 0) return false;
      if (client.receive()) return true;
    }
  }

  void watch(Client& client) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &client;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd(), &event) != 0) die("epoll_ctl");
  }

  template <typename OnData>
  void each_reply(const Times& times, const OnData& on_data) {
    std::array<epoll_event, 64> events{};
    while (!times.over()) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10000);
      if (count <= 0) die("epoll_wait");
      for (int i = 0; i < count; ++i) {
        on_data(*static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
  }

  const Address& address_;
  std::string auth_ = call(kAuthList);
  std::string open_;
  std::string call_ = call(kGetLibVersion);
  int epoll_;
};

int usage() {
  std::fputs(
      "usage: bench-load opens|calls ADDRESS NAME TIME CLIENTS\n"
      "       bench-load asks ADDRESS NAME TIME CLIENTS PROCEDURE BODY[,BODY...]\n"
      "       bench-load paced ADDRESS NAME TIME EVERY PROCEDURE BODY\n"
      "       bench-load idle ADDRESS NAME CLIENTS\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() < 4) return usage();
  Address address;
  const auto first = number(words[3]);
  if (!address.parse(words[1]) || !first) return usage();
  Load load(address, words[2]);
  if (words[0] == "idle" && words.size() == 4) {
    load.idle(*first);
    return 0;
  }
  const auto count = words.size() < 5 ? std::nullopt : number(words[4]);
  if (!count) return usage();
  if (words[0] == "opens" && words.size() == 5) {
    load.opens(*first, *count);
  } else if (words[0] == "calls" && words.size() == 5) {
    load.calls(*first, *count);
  } else if ((words[0] == "asks" || words[0] == "paced") && words.size() == 7) {
    const auto frames = calls_of(words[5], words[6]);
    if (!frames || *count == 0) return usage();
    if (words[0] == "asks") {
      load.asks(*first, *count, *frames);
    } else {
      load.paced(*first, std::chrono::milliseconds(*count), frames->front());
    }
  } else {
    return usage();
  }
  return 0;
}
