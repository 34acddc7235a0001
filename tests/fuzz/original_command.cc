// Any text is either refused in one sentence or is, letter by letter, what libvirt writes.
#include "conf/original_command.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/text.h"
#include "conf/text.h"

namespace {

bool stands_alone(const conf::RemoteCommand& command, std::string_view text) {
  const std::string helper = command.read_only ? "virt-ssh-helper -r " : "virt-ssh-helper ";
  if (command.helper != tunnel::RemoteProxy::native || !text.starts_with(helper)) return false;
  const std::string_view word = text.substr(helper.size());
  return word == command.name || (word.starts_with('\'') && word.ends_with('\''));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::text_of({data, size});
  const auto command = conf::parse_original_command(text);
  if (!command) {
    CHECK(!command.error().empty() && base::printable(command.error(), 4096).size() < 4096);
    return 0;
  }
  CHECK(!conf::has_controls(text) && !conf::has_controls(command->name));
  CHECK(command->socket.find_first_of(" \t\n'\"\\$`;&|<>(){}*?[]~#!") == std::string::npos);
  CHECK(conf::remote_command(*command) == text || stands_alone(*command, text));
  return 0;
}
