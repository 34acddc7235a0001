#include <cstdio>

#include "proxy/choose_target.h"
#include "proxy/command_text.h"
#include "proxy/commands.h"
#include "proxy/ping_target.h"
#include "proxy/ping_text.h"

namespace proxy {

int ping(const PingOptions& options) {
  const auto chosen = choose_target({options.what, options.config, options.insecure});
  if (!chosen) {
    if (!chosen.error().empty()) complain(chosen.error());
    return 1;
  }
  const conf::Target& target = chosen->target;
  const PingReport report = ping_target(target, options.count);
  const std::string text = options.json ? ping_json(target, report) : ping_text(target, report);
  std::fputs(text.c_str(), stdout);
  return report.failure ? 1 : 0;
}

}  // namespace proxy
