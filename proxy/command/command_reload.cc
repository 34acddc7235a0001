#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/control_client.h"
#include "proxy/report/status_json.h"

namespace proxy {

int reload(const ReloadOptions& options) {
  const std::string socket = options.control.value_or(usual_control_socket());
  const auto answer = tell_gate(socket, "/reload");
  if (!answer) {
    complain(answer.error());
    return 1;
  }
  const auto reloaded = parse_reloaded(*answer);
  if (!reloaded) {
    complain(socket + ": the gate's answer cannot be used: " + reloaded.error());
    return 1;
  }
  if (!reloaded->mistakes.empty()) {
    for (const std::string& mistake : reloaded->mistakes) complain(mistake);
    complain("reload failed: the gate goes on as before");
    return 1;
  }
  // What a failed reload leaves in force is not of the file that was read.
  for (const std::string& problem : reloaded->problems) complain("warning: " + problem);
  for (const std::string& warning : reloaded->warnings) complain("warning: " + warning);
  return 0;
}

}  // namespace proxy
