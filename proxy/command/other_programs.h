// virtgate under other names: what it does when it is started as ssh, virt-ssh-helper or netcat
// would be, and as a bridge without arguments.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace proxy {

// `words` are those of the command line, the program's own name first. The exit code; nothing: the
// process is virtgate itself, with its own commands.
//
//   virtgate-ssh, and virtgate itself where the first argument is one of ssh's: command= of a
//                     qemu+ssh:// URI
//   virt-ssh-helper   on the far side of one
//   virtgate-nc       there too, as netcat=
//   virtgate-bridge   command= of a qemu+ext:// URI, which gives no arguments
//
// None of these names takes an option that lets anything pass unread.
std::optional<int> run_as_other_program(const std::vector<std::string>& words);

}  // namespace proxy
