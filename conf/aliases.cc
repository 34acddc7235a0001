#include "conf/aliases.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "conf/libvirt_conf.h"
#include "conf/text.h"
#include "conf/uri.h"

namespace conf {
namespace {

constexpr std::string_view kBegin = "# begin of what virtgate aliases --install wrote\n";
constexpr std::string_view kEnd = "# end of what virtgate aliases --install wrote\n";

std::optional<std::string> why_no_alias(std::string_view name) {
  const bool fine = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-';
  });
  if (!fine) return "an alias can only have letters, digits, _ and -";
  if (same_ignoring_case(name, "xen")) return "libvirt takes this word for xen:///system";
  return std::nullopt;
}

// name= of the target replaces all of what is opened, and "remote" leaves it to the daemon.
Uri opened_by(const TargetConfig& target) {
  Uri out;
  out.driver = "remote";
  out.path = "/";
  if (target.connect_name.empty()) return out;
  auto parsed = parse_uri(target.connect_name);
  return parsed ? std::move(parsed).value() : out;
}

// Slashes may stay in the value of a parameter, and people read them more easily.
std::string with_slashes(std::string text) {
  static constexpr std::string_view kEscaped = "%2F";
  for (std::size_t at = text.find(kEscaped); at != std::string::npos; at = text.find(kEscaped)) {
    text.replace(at, kEscaped.size(), "/");
  }
  return text;
}

std::string alias_of(const TargetConfig& target, const std::string& socket) {
  const Uri opened = opened_by(target);
  std::string uri = opened.driver + "+unix://";
  append_path(uri, opened.path);
  std::string parameters;
  append_parameter(parameters, "socket", socket);
  parameters = with_slashes(std::move(parameters));
  append_parameter(parameters, "name", target.name);
  return target.name + '=' + uri + parameters;
}

}  // namespace

std::string alias_lines(const Config& config, const std::string& socket) {
  std::string comments;
  std::string aliases;
  for (const TargetConfig& target : config.targets) {
    if (target.protocol == Protocol::xend) {
      comments += "# " + quoted(target.name) +
                  " is left out: it is a legacy xend, which no libvirt of today can ask.\n";
      continue;
    }
    if (const auto why = why_no_alias(target.name)) {
      comments += "# " + quoted(target.name) + " is left out: " + *why + ".\n";
    } else {
      aliases += "  \"" + alias_of(target, socket) + "\",\n";
    }
  }
  return comments + "uri_aliases = [\n" + aliases + "]\n";
}

base::Result<std::string, std::string> with_aliases(std::string_view file, std::string_view lines) {
  std::string rest(file);
  if (const std::size_t begin = rest.find(kBegin); begin != std::string::npos) {
    const std::size_t end = rest.find(kEnd, begin);
    if (end == std::string::npos) {
      return base::Failure{"the line \"" + std::string(kBegin.substr(0, kBegin.size() - 1)) +
                           "\" has no end; remove it and the aliases below it"};
    }
    rest.erase(begin, end + kEnd.size() - begin);
  }
  const auto parsed = parse_libvirt_conf(rest);
  if (!parsed) {
    return base::Failure{"line " + std::to_string(parsed.error().line) + ": " +
                         parsed.error().text};
  }
  if (!parsed->uri_aliases.empty()) {
    return base::Failure{std::string(
        "it has uri_aliases already, and libvirt reads only the first; put the lines of "
        "\"virtgate aliases\" into those by hand")};
  }
  if (!rest.empty() && rest.back() != '\n') rest += '\n';
  return rest + std::string(kBegin) + std::string(lines) + std::string(kEnd);
}

}  // namespace conf
