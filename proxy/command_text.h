// What the commands have to say on standard error.
#pragma once

#include <string_view>
#include <vector>

#include "conf/config.h"

namespace proxy {

// "virtgate: TEXT", with foreign text made printable.
void complain(std::string_view text);

// Each on a line of its own; false: there was none.
bool complain(const std::vector<conf::Mistake>& mistakes);

}  // namespace proxy
