#include "proxy/command/control_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "conf/environment.h"
#include "proxy/report/status_desks.h"
#include "proxy/service/settings.h"
#include "tunnel/io/address.h"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::seconds kOrderPatience{60};
constexpr const char* kOfRoot = "/run/virtgate/control";
constexpr std::size_t kLongestAnswer = std::size_t{64} << 20;

using Problem = base::Failure<std::string>;

Problem nobody_answers(const std::string& socket, int error) {
  std::string text = socket + ": " + base::system_words(error);
  if (error == ENOENT || error == ECONNREFUSED) text += "; no gate runs there";
  if (error == EACCES || error == EPERM)
    text += "; only its own user, root and the group of [control] may ask a gate";
  return {text};
}

// Whether something can be done with the socket before the time is up.
bool wait_for(int fd, short what, Clock::time_point until) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd wait{fd, what, 0};
    const int count = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
  }
}

base::Result<std::string, std::string> body_of(const std::string& socket, std::string_view answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  if (answer.empty()) {
    return Problem{socket +
                   ": the connection was closed without an answer; only the gate's own "
                   "user, root and the group of [control] may ask it"};
  }
  if (end == std::string_view::npos || !answer.starts_with("HTTP/1.1 ")) {
    return Problem{socket + ": something else than virtgate answers there"};
  }
  if (!answer.starts_with("HTTP/1.1 200 ")) {
    std::string why(answer.substr(end + 4));
    if (why.ends_with('\n')) why.pop_back();
    return Problem{socket + ": the gate answers " +
                   std::string(answer.substr(9, answer.find("\r\n") - 9)) + ": " +
                   base::printable(why)};
  }
  return std::string(answer.substr(end + 4));
}

base::Result<std::string, std::string> exchange(const std::string& socket,
                                                const std::string& first_line,
                                                std::chrono::seconds patience) {
  const auto address = tunnel::io::unix_address(socket);
  if (!address) return Problem{socket + ": " + address.error()};
  const base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok() ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address->raw), address->length) != 0) {
    return nobody_answers(socket, errno);
  }
  const Clock::time_point until = Clock::now() + patience;
  const std::string request = first_line + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  if (!wait_for(fd.get(), POLLOUT, until)) {
    return Problem{socket + ": the gate does not take the question"};
  }
  // A gate that does not want us may have gone already; what follows finds that out.
  static_cast<void>(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL));
  std::string answer;
  std::array<char, 65536> piece{};
  while (wait_for(fd.get(), POLLIN, until)) {
    const ssize_t count = ::recv(fd.get(), piece.data(), piece.size(), 0);
    if (count == 0) return body_of(socket, answer);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0 && answer.empty()) return body_of(socket, answer);
    if (count < 0) return nobody_answers(socket, errno);
    answer.append(piece.data(), static_cast<std::size_t>(count));
    if (answer.size() > kLongestAnswer) return Problem{socket + ": the answer is too long"};
  }
  return Problem{socket + ": the gate did not answer within " + std::to_string(patience.count()) +
                 " s"};
}

}  // namespace

base::Result<std::string, std::string> ask_gate(const std::string& socket,
                                                const std::string& path) {
  return exchange(socket, "GET " + path, kPatience);
}

base::Result<std::string, std::string> tell_gate(const std::string& socket,
                                                 const std::string& path) {
  return exchange(socket, "POST " + path, kOrderPatience);
}

std::string usual_control_socket() {
  const conf::Environment environment = conf::process_environment();
  const std::string folder = default_socket_folder(environment);
  std::string ours = control_path(configuration({}).config, folder);
  if (!ours.empty() && ::access(ours.c_str(), F_OK) == 0) return ours;
  // What the gate runs with may be another configuration than the file has by now.
  if (::access((folder + "/control").c_str(), F_OK) == 0) return folder + "/control";
  if (!ours.empty() && environment.uid == 0) return ours;
  return ::access(kOfRoot, F_OK) == 0 || ours.empty() ? kOfRoot : ours;
}

}  // namespace proxy
