// What a configuration allows that is perhaps not what it was meant to.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include <sys/types.h>

#include "conf/config.h"

namespace proxy {

// Rules that can never match, and that there are none where nobody may do anything without.
std::vector<conf::Mistake> doubts_about(const conf::Loaded& loaded);

// That so many descriptors are not enough for the clients that it lets in.
std::optional<conf::Mistake> too_few_descriptors(const conf::Loaded& loaded, std::size_t limit);

// The mode that a socket has, whoever makes it.
using ModeOf = std::function<mode_t(const conf::Listen& listen)>;

// Sockets that everybody may use where no rule restricts anything.
std::vector<conf::Mistake> open_to_everybody(const conf::Config& config, const ModeOf& mode_of);

}  // namespace proxy
