#include "proxy/service/passed_sockets.h"

#include <cstdlib>
#include <utility>

#include <systemd/sd-daemon.h>

#include "base/fd.h"

namespace proxy {

PassedSockets PassedSockets::take() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  PassedSockets passed;
  if (count < 0) {
    passed.wrong_.push_back("the sockets of the service manager: " + base::system_words(-count));
    return passed;
  }
  for (int i = 0; i < count; ++i) {
    const std::string name = names[i];
    std::free(names[i]);
    auto socket = tunnel::io::LocalSocket::adopt(SD_LISTEN_FDS_START + i);
    if (socket) {
      passed.sockets_.push_back({name, std::move(socket).value()});
    } else {
      passed.wrong_.push_back("passed as '" + name + "': " + socket.error());
    }
  }
  std::free(names);
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

}  // namespace proxy
