// command= of an ssh URI: each stream is a child that runs that program, which brings its own
// configuration, jumps and hardware keys. Its arguments are libvirt's, so that wrappers written for
// libvirt work; it has to know and check the host by itself.
#pragma once

#include <memory>

#include "tunnel/io/clock.h"
#include "tunnel/ssh/parts.h"
#include "tunnel/target.h"
#include "tunnel/tunnel.h"

namespace tunnel::ssh {

// What the program writes to its standard error goes to `parts.notes`, line by line.
std::unique_ptr<Tunnel> make_program_tunnel(io::Clock& clock, Target target, Parts parts);

}  // namespace tunnel::ssh
