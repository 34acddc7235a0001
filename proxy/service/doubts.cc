#include "proxy/service/doubts.h"

#include <algorithm>
#include <string>

#include <sys/stat.h>

#include "conf/text.h"
#include "policy/shadow.h"
#include "proxy/service/headroom.h"

namespace proxy {
namespace {

std::string everybody_reads(const std::string& path) {
  return "everybody on this host may use the socket " + conf::quoted(path) +
         " and read every target, because there are no rules; add [[policy.rule]], or default = "
         "\"deny\" in [policy], or give the socket a mode such as \"0660\"";
}

}  // namespace

std::vector<conf::Mistake> doubts_about(const conf::Loaded& loaded) {
  std::vector<conf::Mistake> out;
  const std::vector<policy::AccessRule>& rules = loaded.config.rules.rules;
  for (std::size_t i = 0; i < std::min(rules.size(), loaded.rules.size()); ++i) {
    const auto by = policy::shadowed_by(rules, i);
    if (!by) continue;
    out.push_back({loaded.rules[i], "this rule can never match: rule " + std::to_string(*by + 1) +
                                        " (" + rules[*by].place +
                                        ") comes first and is for the same users and targets; "
                                        "move this one up, or remove it"});
  }
  if (rules.empty() && loaded.config.rules.restrict()) {
    const std::string file = loaded.files.empty() ? std::string() : loaded.files.front();
    out.push_back({{file},
                   "nobody may read anything: there are no rules, and \"default\" of [policy] is "
                   "\"deny\"; add [[policy.rule]]"});
  }
  return out;
}

std::optional<conf::Mistake> too_few_descriptors(const conf::Loaded& loaded, std::size_t limit) {
  const conf::Config& config = loaded.config;
  // The control socket, and those of metrics.
  const std::size_t most = Headroom::clients_within(limit, config.listen.size() + 3);
  if (config.limits.clients <= most) return std::nullopt;
  return conf::Mistake{{loaded.files.empty() ? std::string() : loaded.files.front()},
                       "\"clients\" of [limits] is " + std::to_string(config.limits.clients) +
                           ", and a process may have " + std::to_string(limit) +
                           " descriptors here (RLIMIT_NOFILE, LimitNOFILE= of the unit), enough "
                           "for " +
                           std::to_string(most) + " clients; those beyond are turned away"};
}

std::vector<conf::Mistake> open_to_everybody(const conf::Config& config, const ModeOf& mode_of) {
  std::vector<conf::Mistake> out;
  if (config.rules.restrict()) return out;
  conf::Position last;
  for (const conf::Listen& listen : config.listen) {
    const bool open = listen.path.starts_with('@') || (mode_of(listen) & S_IWOTH) != 0;
    // A path with %t has many sockets.
    if (!open || listen.position == last) continue;
    last = listen.position;
    out.push_back({listen.position, everybody_reads(listen.path)});
  }
  return out;
}

}  // namespace proxy
