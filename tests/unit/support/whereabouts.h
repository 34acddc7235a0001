// For work that a test does itself, and of which nobody asks where it is.
#pragma once

#include "tunnel/io/errands.h"

namespace test {

inline tunnel::io::Whereabouts unasked;

}  // namespace test
