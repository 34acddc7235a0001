#include "proxy/command/check.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "conf/environment.h"
#include "conf/mask.h"
#include "proxy/command/command_text.h"
#include "proxy/service/doubts.h"
#include "proxy/service/socket_units.h"

namespace proxy {
namespace {

using Json = nlohmann::ordered_json;
using Mistakes = std::vector<conf::Mistake>;

std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

std::string contents(const conf::Loaded& loaded) {
  const conf::Config& config = loaded.config;
  std::string holds = counted(config.targets.size(), "target") + ", " +
                      counted(config.listen.size(), "socket") + ", " +
                      counted(config.rules.rules.size(), "rule");
  if (!loaded.warnings.empty()) holds += "; " + counted(loaded.warnings.size(), "warning");
  return holds;
}

// What a running gate reports as it is then. The folder of its sockets it makes itself.
std::vector<conf::NamedPath> passing(const conf::Loaded& loaded) {
  using Kind = conf::NamedPath::Kind;
  const std::string ours = default_socket_folder(conf::process_environment()) + "/";
  std::vector<conf::NamedPath> out;
  for (const conf::NamedPath& one : loaded.paths) {
    const bool made = one.kind == Kind::parent && one.path.starts_with(ours) &&
                      one.path.find('/', ours.size()) == std::string::npos;
    if (!made && (one.kind == Kind::parent || one.kind == Kind::socket)) out.push_back(one);
  }
  return out;
}

void append(Mistakes& to, const Mistakes& more) { to.insert(to.end(), more.begin(), more.end()); }

Json finding(const char* severity, const conf::Mistake& mistake) {
  const auto& [file, line, column] = mistake.position;
  return {{"severity", severity},
          {"file", file.empty() ? Json() : Json(file)},
          {"line", line == 0 ? Json() : Json(line)},
          {"column", column == 0 ? Json() : Json(column)},
          {"message", conf::masked(mistake.text)}};
}

void print_json(const conf::Loaded& loaded, bool fit) {
  Json out;
  out["ok"] = fit;
  out["files"] = loaded.files;
  out["targets"] = loaded.config.targets.size();
  out["sockets"] = loaded.config.listen.size();
  out["rules"] = loaded.config.rules.rules.size();
  out["findings"] = Json::array();
  for (const conf::Mistake& one : loaded.mistakes) {
    out["findings"].push_back(finding("error", one));
  }
  for (const conf::Mistake& one : loaded.warnings) {
    out["findings"].push_back(finding("warning", one));
  }
  std::printf("%s\n", out.dump(2, ' ', true, Json::error_handler_t::replace).c_str());
}

void print_lines(const conf::Loaded& loaded) {
  complain(loaded.mistakes);
  for (conf::Mistake warning : loaded.warnings) {
    warning.text.insert(0, "warning: ");
    complain(conf::to_string(warning));
  }
  if (loaded.mistakes.empty()) std::printf("%s\n", contents(loaded).c_str());
}

}  // namespace

int check(const Sources& sources, const CheckOptions& options) {
  conf::Loaded loaded = judged(sources).loaded;
  append(loaded.warnings, conf::missing(passing(loaded)));
  const std::vector<SocketUnit> units = socket_units();
  append(loaded.warnings, ignored_access(loaded.config, units));
  append(loaded.warnings, open_to_everybody(loaded.config, [&](const conf::Listen& listen) {
           const auto unit = std::ranges::find(units, listen.path, &SocketUnit::path);
           return unit == units.end() ? listen.mode : unit->mode;
         }));
  conf::in_order(loaded.warnings, loaded.files);
  const bool fit = loaded.mistakes.empty() && (!options.strict || loaded.warnings.empty());
  if (options.json) {
    print_json(loaded, fit);
  } else {
    print_lines(loaded);
  }
  return fit ? 0 : 1;
}

}  // namespace proxy
