#include <cstdio>

#include "conf/aliases.h"
#include "proxy/command_text.h"
#include "proxy/commands.h"
#include "proxy/serve.h"

namespace proxy {

int aliases(const AliasesOptions& options) {
  ServeOptions named;
  named.config = options.config;
  const conf::Loaded loaded = configuration(named);
  if (complain(loaded.mistakes)) return 1;
  if (options.socket) {
    if (const auto wrong = conf::wrong_socket_path(*options.socket)) {
      complain(*wrong);
      return 2;
    }
  }
  const std::string socket = options.socket.value_or(loaded.config.listen.front().path);
  std::fputs(conf::alias_lines(loaded.config, socket).c_str(), stdout);
  return 0;
}

}  // namespace proxy
