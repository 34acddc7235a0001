// How the clients of the old Xen proxy lay structures out: the sizes of their long and its
// alignment.
#pragma once

#include <cstdint>

namespace policy {

enum class XenAbi : std::uint8_t { x86_64, i386 };

}  // namespace policy
