#include "proxy/service/socket_units.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <dirent.h>

#include "base/file.h"
#include "conf/accounts.h"
#include "conf/text.h"

namespace proxy {
namespace {

constexpr std::size_t kLargestUnit = 1U << 16;

std::vector<std::string> names_in(const std::string& folder, std::string_view start,
                                  std::string_view end) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.c_str()), closedir);
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name.starts_with(start) && name.ends_with(end)) names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::optional<mode_t> octal(std::string_view text) {
  mode_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || mode > 0777) return std::nullopt;
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  return text.empty() ? std::nullopt : std::optional(mode);
}

// virtgate@hail.socket is the instance "hail", which %i stands for.
std::string instance_of(const std::string& unit) {
  const std::size_t at = unit.find('@');
  return at == std::string::npos ? std::string() : unit.substr(at + 1, unit.rfind('.') - at - 1);
}

void read_line(std::string_view line, SocketUnit& to) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view key = line.substr(0, equals);
  std::string value(line.substr(equals + 1));
  if (const std::size_t at = value.find("%i"); at != std::string::npos) {
    value.replace(at, 2, instance_of(to.name));
  }
  if (key == "ListenStream") to.path = value;
  if (key == "SocketGroup") to.group = value;
  if (key == "SocketMode") to.mode = octal(value).value_or(to.mode);
}

bool read_unit(const std::string& file, SocketUnit& to) {
  const auto text = base::read_file(file, kLargestUnit);
  if (!text) return false;
  std::string_view rest = text->text.text();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    read_line(line, to);
  }
  return true;
}

}  // namespace

std::vector<SocketUnit> socket_units(const std::string& folder) {
  std::vector<SocketUnit> out;
  const std::string enabled = folder + "/sockets.target.wants/";
  for (const std::string& name : names_in(enabled, "virtgate", ".socket")) {
    SocketUnit unit;
    unit.name = name;
    if (!read_unit(enabled + name, unit)) continue;
    std::string of_unit = folder;
    of_unit.append("/").append(name).append(".d/");
    std::vector<std::string> drop_ins;
    drop_ins.push_back(std::move(of_unit));
    if (const std::size_t at = name.find('@'); at != std::string::npos) {
      std::string of_template = folder;
      of_template.append("/").append(name, 0, at + 1).append(".socket.d/");
      drop_ins.insert(drop_ins.begin(), std::move(of_template));
    }
    for (const std::string& one : drop_ins) {
      for (const std::string& file : names_in(one, "", ".conf")) read_unit(one + file, unit);
    }
    out.push_back(std::move(unit));
  }
  return out;
}

std::vector<conf::Mistake> ignored_access(const conf::Config& config,
                                          const std::vector<SocketUnit>& units) {
  std::vector<conf::Mistake> out;
  for (const conf::Listen& listen : config.listen) {
    const auto unit = std::ranges::find(units, listen.path, &SocketUnit::path);
    if (unit == units.end()) continue;
    const std::string group = unit->group.empty() ? "root" : unit->group;
    std::string what;
    std::string key;
    if (listen.mode != conf::Listen{}.mode && listen.mode != unit->mode) {
      what = "mode \"" + base::mode_text(listen.mode) + "\" is ignored: " + unit->name +
             " makes this socket, with mode " + base::mode_text(unit->mode);
      key = "SocketMode=";
    } else if (listen.group && listen.group != conf::find_group(group)) {
      what = "\"group\" is ignored: " + unit->name + " makes this socket, with the group " +
             conf::quoted(group);
      key = "SocketGroup=";
    }
    if (what.empty()) continue;
    what.append("; set ").append(key).append(" with \"systemctl edit ").append(unit->name);
    what.append("\", then \"systemctl restart ").append(unit->name).append("\"");
    out.push_back({listen.position, std::move(what)});
  }
  return out;
}

}  // namespace proxy
