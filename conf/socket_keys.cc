// The keys that [[listen]], [control] and [metrics] have in common.
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <sys/stat.h>

#include "conf/accounts.h"
#include "conf/sections.h"
#include "conf/socket_path.h"
#include "conf/text.h"

namespace conf {
namespace {

std::optional<mode_t> mode_of(std::string_view text) {
  const bool octal =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c < '8'; });
  if (!octal || text.size() < 3 || text.size() > 4 || (text.size() == 4 && text[0] != '0')) {
    return std::nullopt;
  }
  mode_t mode = 0;
  for (const char c : text) mode = mode * 8 + static_cast<mode_t>(c - '0');
  return mode;
}

}  // namespace

void read_single_path(Reader& reader, const Node& node, std::string& to) {
  const auto path = reader.text(node, "a path in quotes");
  if (!path) return;
  if (auto wrong = wrong_socket_path(*path)) {
    reader.mistake(node.position, std::move(*wrong));
  } else if (path->find('%') != std::string::npos) {
    reader.mistake(node.position, "there is only one such socket, so its path cannot have %t");
  } else if (path->size() > kLongestSocketPath) {
    reader.mistake(node.position,
                   "the path " + quoted(*path) + " has " + std::to_string(path->size()) +
                       " bytes; a socket's path can have " + std::to_string(kLongestSocketPath));
  } else {
    to = *path;
  }
}

void read_mode(Reader& reader, const Node& node, mode_t& to) {
  constexpr std::string_view kWanted = "an octal mode in quotes, such as \"0660\"";
  const auto text = reader.text(node, kWanted);
  if (!text) return;
  if (const auto mode = mode_of(*text)) {
    to = *mode;
  } else {
    reader.mistake(node.position,
                   "\"mode\" is " + quoted(*text) + "; it must be " + std::string(kWanted));
  }
}

std::optional<gid_t> read_group(Reader& reader, const Node& node, std::string_view without) {
  const auto name = reader.text(node, "the name of a group, or its number in quotes");
  if (!name) return std::nullopt;
  const auto found = find_group(*name);
  if (!found) {
    reader.lapse(node.position,
                 std::string(without) + " finds this group: " + no_account("group", *name));
  }
  return found;
}

void read_group(Reader& reader, const Node& node, std::string_view without,
                std::optional<gid_t>& group, mode_t& mode) {
  group = read_group(reader, node, without);
  if (!group) mode &= S_IRWXU;
}

}  // namespace conf
