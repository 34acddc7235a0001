#include <algorithm>
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
  const conf::Config& config = loaded.config;
  const auto listen = std::find_if(config.listen.begin(), config.listen.end(),
                                   [&](const conf::Listen& one) { return config.speaks_rpc(one); });
  if (!options.socket && listen == config.listen.end()) {
    complain("no [[listen]] speaks libvirt's RPC");
    return 1;
  }
  const std::string socket = options.socket ? *options.socket : listen->path;
  std::fputs(conf::alias_lines(config, socket).c_str(), stdout);
  return 0;
}

}  // namespace proxy
