// Lines for the libvirt.conf of a gate's clients, so that the names of its targets work there as
// they are.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/values.h"

namespace conf {

// `uri_aliases = [ ... ]` with an alias for each target, which leads to the gate's `socket` and
// opens there what the target opens. Names that no alias can have are in a comment instead, which
// says why.
std::string alias_lines(const Config& config, const std::string& socket);

// A libvirt.conf with these lines, in place of those that were put there by this before, and all
// else as it is. The error says what of the file stands in the way: of two uri_aliases libvirt
// reads only the first.
base::Result<std::string, std::string> with_aliases(std::string_view file, std::string_view lines);

}  // namespace conf
