// A file that its readers always find whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace proxy {

// Puts a new file with this text, which everybody may read, in the place of `path`. While it is
// written, it is beside it with ".new" behind its name. The result says what went wrong.
std::optional<std::string> replace_file(const std::string& path, std::string_view text);

}  // namespace proxy
