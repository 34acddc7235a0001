// Lines for the libvirt.conf of a gate's clients, so that the names of its targets work there as
// they are.
#pragma once

#include <string>

#include "conf/config.h"

namespace conf {

// `uri_aliases = [ ... ]` with an alias for each target, which leads to the gate's `socket` and
// opens there what the target opens. Names that no alias can have are in a comment instead, which
// says why.
std::string alias_lines(const Config& config, const std::string& socket);

}  // namespace conf
