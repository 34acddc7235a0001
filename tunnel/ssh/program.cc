#include "tunnel/ssh/program.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "tunnel/io/connect.h"
#include "tunnel/ssh/remote_command.h"

namespace tunnel::ssh {
namespace {

class ProgramTunnel : public Tunnel {
 public:
  ProgramTunnel(io::Clock& clock, Target target, Parts parts)
      : clock_(clock), target_(std::move(target)), parts_(std::move(parts)) {}

  std::unique_ptr<io::Stream> stream() override {
    auto arguments = ssh_program_arguments(target_);
    if (!arguments) return refusal(arguments.error());
    if (target_.no_verify && !target_.insecure) {
      return refusal(refused_unless_insecure("no_verify=1"));
    }
    return parts_.run(*arguments, [this](const std::string& line) {
      if (parts_.notes) {
        parts_.notes(base::shortened(target_.name) + ": " + base::shortened(target_.command) +
                     ": " + base::shortened(line));
      }
    });
  }

 private:
  std::unique_ptr<io::Stream> refusal(const std::string& text) {
    return io::failed_stream(clock_, {io::Reason::Kind::refused, io::Stage::connect, text});
  }

  io::Clock& clock_;
  Target target_;
  Parts parts_;
};

}  // namespace

std::unique_ptr<Tunnel> make_program_tunnel(io::Clock& clock, Target target, Parts parts) {
  return std::make_unique<ProgramTunnel>(clock, std::move(target), std::move(parts));
}

}  // namespace tunnel::ssh
