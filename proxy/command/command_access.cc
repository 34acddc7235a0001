#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "conf/accounts.h"
#include "conf/config.h"
#include "proxy/command/access_report.h"
#include "proxy/command/choose_target.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/somebody.h"

namespace proxy {
namespace {

using Targets = std::vector<const conf::TargetConfig*>;

// Those of these names, in their order, or all. The error says which name there is not.
base::Result<Targets, std::string> reviewed(const std::vector<std::string>& names,
                                            const conf::Config& config) {
  Targets out;
  out.reserve(std::max(names.size(), config.targets.size()));
  for (const std::string& name : names) {
    const conf::TargetConfig* found = config.find(name);
    if (found == nullptr) return base::Failure{no_target(name, config)};
    out.push_back(found);
  }
  if (!names.empty()) return out;
  for (const conf::TargetConfig& target : config.targets) out.push_back(&target);
  return out;
}

conf::Account account_of(std::uint32_t uid) {
  // A number is always found.
  return conf::find_account(std::to_string(uid)).value_or(conf::Account{uid, uid, {}});
}

}  // namespace

int show_policy(const ShowOptions& options) {
  const auto loaded = sound_configuration(options.config);
  if (!loaded) return 1;
  const auto targets = reviewed(options.targets, loaded->config);
  if (!targets) return wrong_choice(targets.error());
  const auto who = somebody(options.user, options.groups);
  if (!who) return wrong_choice(who.error());
  const std::uint32_t uid = who->account.uid;
  const Person person{"user", uid, conf::user_name(uid), who.value()};
  const policy::Access access(loaded->config.rules);
  const std::string text =
      options.json ? rights_json(access, person, *targets) : rights_text(access, person, *targets);
  std::fputs(text.c_str(), stdout);
  const bool any = std::ranges::any_of(*targets, [&](const conf::TargetConfig* target) {
    return access.grant(person.who.identity(), target->name).ok();
  });
  return any ? 0 : 1;
}

int print_matrix(const MatrixOptions& options) {
  const auto loaded = sound_configuration(options.config);
  if (!loaded) return 1;
  const auto targets = reviewed(options.targets, loaded->config);
  if (!targets) return wrong_choice(targets.error());
  const policy::Access access(loaded->config.rules);
  for (const conf::Mistake& warning : loaded->warnings) {
    if (warning.lapsed) complain(conf::to_string(warning));
  }
  const auto people = people_of(access.rules(), {account_of, conf::user_name, conf::group_name});
  const std::string text =
      options.json ? matrix_json(access, people, *targets) : matrix_text(access, people, *targets);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace proxy
