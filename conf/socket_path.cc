#include "conf/socket_path.h"

#include "conf/text.h"

namespace conf {

std::optional<std::string> wrong_socket_path(std::string_view path) {
  if (path.empty()) return "the path is empty";
  if (has_controls(path)) return "the path has control characters";
  if (path[0] != '/' && path[0] != '@') {
    return "the path " + quoted(path) +
           " is relative; it must begin with /, or with @ for the abstract namespace";
  }
  if (path == "@" || path.back() == '/') return "the path " + quoted(path) + " names no socket";
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    if (path.substr(at, 2) != "%t") {
      return "the path " + quoted(path) + " has a % that is not %t, the name of a target";
    }
  }
  return std::nullopt;
}

}  // namespace conf
