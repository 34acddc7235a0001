#include "proxy/passed_sockets.h"

#include <cstdlib>
#include <utility>

#include <systemd/sd-daemon.h>

#include "base/fd.h"

namespace proxy {

base::Result<PassedSockets, std::string> PassedSockets::take() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  if (count < 0) {
    return base::Failure{"the sockets of the service manager: " + base::system_words(-count)};
  }
  PassedSockets passed;
  std::string wrong;
  for (int i = 0; i < count; ++i) {
    const std::string name = names[i];
    std::free(names[i]);
    auto socket = tunnel::io::LocalSocket::adopt(SD_LISTEN_FDS_START + i);
    if (socket) {
      passed.sockets_.push_back({name, std::move(socket).value()});
    } else if (wrong.empty()) {
      wrong = "passed as '" + name + "': " + socket.error();
    }
  }
  std::free(names);
  if (!wrong.empty()) return base::Failure{std::move(wrong)};
  return passed;
}

PassedSocket PassedSockets::claim(std::string_view path) {
  for (auto entry = sockets_.begin(); entry != sockets_.end(); ++entry) {
    if (entry->socket->name() != path) continue;
    PassedSocket found = std::move(*entry);
    sockets_.erase(entry);
    return found;
  }
  return {};
}

std::string PassedSockets::unclaimed() const {
  std::string text;
  for (const PassedSocket& one : sockets_) {
    text += text.empty() ? "" : ", ";
    text += one.socket->name() + " (" + one.name + ")";
  }
  return text;
}

}  // namespace proxy
