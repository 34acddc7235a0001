// The command lines with which libvirt's client asks a far host's shell for a daemon, read back.
// They come from the holder of an ssh key (SSH_ORIGINAL_COMMAND of a forced command) and are
// hostile: what is not letter by letter what libvirt would write is refused, and what is understood
// is fit for comparing and for choosing among targets, never for a shell.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/ssh_command.h"
#include "conf/uri.h"

namespace conf {

// A longer one is refused unread. Each byte of a URI can stand there as many.
inline constexpr std::size_t kLongestOriginalCommand = 4 * kLongestUri;

// Understood are the three shapes of remote_command(), and the helper's words alone, without sh.
// `netcat` and `socket` are empty where the shape has none. Neither name nor netcat has control
// characters, and the socket is an absolute path of characters that no shell takes for anything
// else, since libvirt does not quote it. The error is a sentence, not escaped.
base::Result<RemoteCommand, std::string> parse_original_command(std::string_view text);

}  // namespace conf
