// Bytes as they are written in the tests of policy.
#pragma once

#include <string_view>

#include "base/bytes.h"

namespace test {

// The bytes that hexadecimal digits say; spaces and line ends are skipped.
base::Buffer hex(std::string_view digits);

}  // namespace test
