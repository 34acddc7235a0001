#include <cstdio>

#include "conf/drivers.h"
#include "proxy/command/choose_target.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/ping_text.h"
#include "proxy/probe/ping_target.h"

namespace proxy {

int ping(const PingOptions& options) {
  const auto chosen = choose_target({options.what, options.config, options.insecure});
  if (!chosen) {
    if (!chosen.error().empty()) complain(chosen.error());
    return 1;
  }
  const conf::TargetConfig& target = chosen->target;
  for (const std::string& doubt : conf::doubts_about(target)) complain("warning: " + doubt);
  const PingReport report = ping_target(target, options.count);
  const std::string text = options.json ? ping_json(target, report) : ping_text(target, report);
  std::fputs(text.c_str(), stdout);
  return report.failure ? 1 : 0;
}

}  // namespace proxy
