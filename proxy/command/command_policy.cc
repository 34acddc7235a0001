#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/pattern.h"
#include "base/text.h"
#include "conf/config.h"
#include "conf/mask.h"
#include "conf/open_uri.h"
#include "conf/text.h"
#include "policy/example.h"
#include "policy/explain.h"
#include "policy/message.h"
#include "proxy/command/choose_target.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/somebody.h"
#include "proxy/service/procedure_names.h"

namespace proxy {
namespace {

using Json = nlohmann::ordered_json;
using policy::Procedure;

std::string_view program_name(std::uint32_t program) {
  if (program == policy::kQemuProgram) return "qemu";
  return program == policy::kLxcProgram ? "lxc" : "remote";
}

template <typename Each>
void for_each_procedure(Each each) {
  for (const std::uint32_t program :
       {policy::kRemoteProgram, policy::kQemuProgram, policy::kLxcProgram}) {
    for (const Procedure& procedure : policy::procedures_of(program)) each(procedure);
  }
}

// What a list leaves out, and what it says of what it has.
struct Listed {
  std::string pattern;  // in lower case
  // Of one user on one target; nothing: of anybody.
  std::optional<policy::Grant> grant;

  [[nodiscard]] bool has(const Procedure& procedure) const {
    return base::matches(pattern, conf::lower(procedure.name));
  }
  [[nodiscard]] bool passes(const Procedure& procedure) const {
    if (procedure.rule == policy::Rule::deny) return grant && grant->pretends(procedure);
    return !grant || grant->may(procedure);
  }
  [[nodiscard]] std::string_view verdict(const Procedure& procedure) const {
    if (procedure.rule == policy::Rule::deny) {
      return passes(procedure) ? "answered as done" : policy::rule_words(procedure.rule);
    }
    return passes(procedure) ? policy::rule_words(procedure.rule) : "refused by a rule";
  }
};

std::size_t print_json(const Listed& listed) {
  Json all = Json::array();
  for_each_procedure([&](const Procedure& procedure) {
    if (!listed.has(procedure)) return;
    all.push_back({{"program", program_name(procedure.program)},
                   {"number", procedure.number},
                   {"name", procedure.name},
                   {"verdict", listed.verdict(procedure)},
                   {"arguments", procedure.signature},
                   {"note", procedure.note}});
  });
  std::printf("%s\n", all.dump(2).c_str());
  return all.size();
}

std::size_t print_lines(const Listed& listed) {
  std::size_t count = 0;
  for_each_procedure([&](const Procedure& procedure) {
    if (!listed.has(procedure)) return;
    ++count;
    const std::string_view program = program_name(procedure.program);
    const std::string_view verdict = listed.verdict(procedure);
    std::printf("%-6.*s %3d  %-24.*s  %.*s", static_cast<int>(program.size()), program.data(),
                procedure.number, static_cast<int>(verdict.size()), verdict.data(),
                static_cast<int>(procedure.name.size()), procedure.name.data());
    if (!procedure.note.empty()) {
      std::printf("  (%.*s)", static_cast<int>(procedure.note.size()), procedure.note.data());
    }
    std::printf("\n");
  });
  return count;
}

// What is no target of the configuration may be a URI that clients name.
base::Result<conf::OpenedUri, std::string> opened(const std::string& target,
                                                  const conf::Config& config) {
  const auto uri = conf::parse_uri(target);
  if (config.find(target) != nullptr || !uri || uri->host.empty()) {
    return base::Failure{no_target(target, config)};
  }
  auto parts = conf::opened_uri(*uri);
  if (!parts) return base::Failure{conf::quoted(target) + " " + parts.error()};
  return parts;
}

bool waits_for_none(const conf::TargetConfig* target, const Procedure& procedure) {
  return target != nullptr && target->stats_nowait &&
         &procedure == &policy::find_procedure(policy::Remote::CONNECT_GET_ALL_DOMAIN_STATS);
}

}  // namespace

int list_policy(const ListOptions& options) {
  Listed listed{conf::lower(options.pattern.value_or("*")), {}};
  std::optional<conf::Loaded> loaded;
  std::optional<policy::Access> access;
  if (options.user) {
    loaded = sound_configuration(options.config);
    if (!loaded) return 1;
    if (loaded->config.find(options.target) == nullptr) {
      return wrong_choice(no_target(options.target, loaded->config));
    }
    const auto who = somebody(*options.user, options.groups);
    if (!who) return wrong_choice(who.error());
    access.emplace(loaded->config.rules);
    const auto grant = access->grant(who->identity(), options.target);
    if (!grant) {
      complain(grant.error());
      return 1;
    }
    listed.grant = grant.value();
  }
  const std::size_t count = options.json ? print_json(listed) : print_lines(listed);
  if (count > 0) return 0;
  complain(no_procedure(*options.pattern));
  return 1;
}

int explain_policy(const ExplainOptions& options) {
  const auto loaded = sound_configuration(options.config);
  if (!loaded) return 1;
  const Procedure* procedure = procedure_named(options.procedure);
  if (procedure == nullptr) return wrong_choice(no_procedure(options.procedure));
  if (options.flags && !policy::has_flags(*procedure)) {
    return wrong_choice(std::string(procedure->name) + " has no flags");
  }
  const auto uri = opened(options.target, loaded->config);
  if (loaded->config.find(options.target) == nullptr && !uri) return wrong_choice(uri.error());
  const auto who = somebody(options.user, options.groups);
  if (!who) return wrong_choice(who.error());
  const policy::Access access(loaded->config.rules);
  if (uri && access.opens(uri->parts) == nullptr) {
    std::printf("refused: no pattern of open_uris lets clients name %s\n",
                base::printable(conf::masked(uri->text), 4096).c_str());
    return 1;
  }
  const policy::Seen seen =
      uri ? policy::Seen(uri->text, &uri->parts) : policy::Seen(options.target);
  policy::Explanation answer =
      policy::explain(access, who->identity(), seen, *procedure, options.flags);
  if (answer.passes && waits_for_none(loaded->config.find(options.target), *procedure)) {
    answer.reason += "; stats_nowait of the target adds NOWAIT to what is sent on";
  }
  std::printf("%s: %s\n", answer.passes ? "allowed" : "refused",
              base::printable(answer.reason, 4096).c_str());
  return answer.passes ? 0 : 1;
}

}  // namespace proxy
