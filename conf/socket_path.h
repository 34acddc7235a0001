// The paths of sockets, as the configuration and the command line take them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace conf {

// sun_path has 108 bytes, one of which is the NUL or the first byte of an abstract name.
inline constexpr std::size_t kLongestSocketPath = 107;

// What is wrong with the path of a socket, as [[listen]] takes it; nothing: it is one. Its length
// is another matter where %t stands for something.
std::optional<std::string> wrong_socket_path(std::string_view path);

}  // namespace conf
