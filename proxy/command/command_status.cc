#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/control_client.h"
#include "proxy/command/screen.h"
#include "proxy/report/status_json.h"
#include "proxy/report/status_text.h"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using Asked = base::Result<Snapshot, std::string>;

constexpr std::chrono::seconds kEach{1};
constexpr const char* kQuestion = "/status.json";

bool in_colour() {
  const char* none = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (none == nullptr || *none == '\0');
}

Asked ask(const std::string& socket) {
  const auto text = ask_gate(socket, kQuestion);
  if (!text) return base::Failure{text.error()};
  auto parsed = parse_status(*text);
  if (!parsed) {
    return base::Failure{socket + ": the gate's answer cannot be used: " + parsed.error()};
  }
  return parsed;
}

// The signals that end or move what is shown, so that they are read where that is safe.
class Signals {
 public:
  Signals() : fd_(make()) {}

  // The next one that comes before that time; nothing: none did.
  [[nodiscard]] std::optional<int> wait(Clock::time_point until) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd wait{fd_.get(), POLLIN, 0};
      const int count = ::poll(&wait, 1, left > 0 ? static_cast<int>(left) : 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return std::nullopt;
      signalfd_siginfo info{};
      if (::read(fd_.get(), &info, sizeof info) == sizeof info) {
        return static_cast<int>(info.ssi_signo);
      }
    }
  }

 private:
  static int make() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) {
      sigaddset(&set, number);
    }
    // A background process that changes the terminal would stop in the middle of it.
    sigset_t blocked = set;
    sigaddset(&blocked, SIGTTOU);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC);
  }

  base::Fd fd_;
};

class Watch {
 public:
  Watch(std::string socket, Snapshot first)
      : socket_(std::move(socket)), names_(local_user_names()), now_(std::move(first)) {}

  int on_terminal() {
    const Signals signals;
    Screen screen(STDIN_FILENO, STDOUT_FILENO);
    const bool colour = in_colour();
    auto next = Clock::now();
    for (;;) {
      const Screen::Size size = screen.size();
      if (!screen.draw(on_screen(lines(), size.rows, size.columns, colour))) return 1;
      if (Clock::now() >= next) next = Clock::now() + kEach;
      const auto signal = signals.wait(next);
      if (!signal) {
        take(ask(socket_));
      } else if (*signal == SIGTSTP) {
        screen.leave();
        ::raise(SIGSTOP);
        screen.enter();
      } else if (*signal != SIGWINCH) {
        return 0;
      }
    }
  }

  int in_blocks() {
    const Signals signals;
    for (;;) {
      const auto next = Clock::now() + kEach;
      if (!base::write_all(STDOUT_FILENO, in_lines(lines(), false) + '\n')) return 1;
      auto signal = signals.wait(next);
      while (signal == SIGWINCH) signal = signals.wait(next);
      if (signal == SIGTSTP) {
        ::raise(SIGSTOP);
      } else if (signal) {
        return 0;
      }
      take(ask(socket_));
      if (problem_.empty()) continue;
      complain(problem_);
      return 1;
    }
  }

 private:
  [[nodiscard]] std::vector<StyledLine> lines() const {
    std::vector<StyledLine> out = status_lines(now_, before_ ? &*before_ : nullptr, names_);
    if (!problem_.empty()) out.insert(out.begin(), {base::printable(problem_), Style::bad});
    return out;
  }

  void take(Asked asked) {
    problem_ = asked ? std::string() : asked.error();
    if (!asked) return;
    before_ = std::exchange(now_, std::move(asked).value());
  }

  const std::string socket_;
  const UserNames names_;
  Snapshot now_;
  std::optional<Snapshot> before_;
  std::string problem_;
};

}  // namespace

int status(const StatusOptions& options) {
  const std::string socket = options.control.value_or(usual_control_socket());
  if (options.json) {
    const auto text = ask_gate(socket, kQuestion);
    if (text) return base::write_all(STDOUT_FILENO, *text) ? 0 : 1;
    complain(text.error());
    return 1;
  }
  Asked asked = ask(socket);
  if (!asked) {
    complain(asked.error());
    return 1;
  }
  if (options.watch) {
    Watch watch(socket, std::move(asked).value());
    return ::isatty(STDOUT_FILENO) == 1 ? watch.on_terminal() : watch.in_blocks();
  }
  const std::vector<StyledLine> lines = status_lines(*asked, nullptr, local_user_names());
  return base::write_all(STDOUT_FILENO, in_lines(lines, in_colour())) ? 0 : 1;
}

}  // namespace proxy
