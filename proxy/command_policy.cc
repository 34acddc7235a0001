#include <cstdio>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "conf/accounts.h"
#include "conf/open_uri.h"
#include "conf/text.h"
#include "policy/example.h"
#include "policy/explain.h"
#include "policy/message.h"
#include "proxy/command_text.h"
#include "proxy/commands.h"
#include "proxy/serve.h"

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

void print_json() {
  Json all = Json::array();
  for_each_procedure([&](const Procedure& procedure) {
    all.push_back({{"program", program_name(procedure.program)},
                   {"number", procedure.number},
                   {"name", procedure.name},
                   {"verdict", policy::rule_words(procedure.rule)},
                   {"arguments", procedure.signature},
                   {"note", procedure.note}});
  });
  std::printf("%s\n", all.dump(2).c_str());
}

void print_lines() {
  for_each_procedure([](const Procedure& procedure) {
    const std::string_view program = program_name(procedure.program);
    const std::string_view verdict = policy::rule_words(procedure.rule);
    std::printf("%-6.*s %3d  %-24.*s  %.*s", static_cast<int>(program.size()), program.data(),
                procedure.number, static_cast<int>(verdict.size()), verdict.data(),
                static_cast<int>(procedure.name.size()), procedure.name.data());
    if (!procedure.note.empty()) {
      std::printf("  (%.*s)", static_cast<int>(procedure.note.size()), procedure.note.data());
    }
    std::printf("\n");
  });
}

struct Somebody {
  conf::Account account;
  [[nodiscard]] policy::Identity identity() const {
    return {account.uid, account.gid, account.groups};
  }
};

base::Result<Somebody, std::string> somebody(const ExplainOptions& options) {
  const auto account = conf::find_account(options.user);
  if (!account) return base::Failure{"there is no user \"" + options.user + "\""};
  Somebody out{*account};
  for (const std::string& name : options.groups) {
    const auto group = conf::find_group(name);
    if (!group) return base::Failure{"there is no group \"" + name + "\""};
    out.account.groups.push_back(*group);
  }
  return out;
}

// A target that is none of the configuration may be a URI that clients name.
base::Result<conf::OpenedUri, std::string> opened(const std::string& target,
                                                  const conf::Config& config) {
  const auto uri = conf::parse_uri(target);
  if (config.find(target) != nullptr || !uri || uri->host.empty()) {
    return base::Failure{"there is no target " + conf::quoted(target)};
  }
  auto parts = conf::opened_uri(*uri);
  if (!parts) return base::Failure{conf::quoted(target) + " " + parts.error()};
  return parts;
}

}  // namespace

int list_policy(bool json) {
  if (json) {
    print_json();
  } else {
    print_lines();
  }
  return 0;
}

int explain_policy(const ExplainOptions& options) {
  ServeOptions named;
  named.config = options.config;
  const conf::Loaded loaded = configuration(named);
  if (complain(loaded.mistakes)) return 1;
  const auto wrong = [](const std::string& text) {
    complain(text);
    return 2;
  };
  const Procedure* procedure = policy::find_procedure(options.procedure);
  if (procedure == nullptr) return wrong("there is no procedure \"" + options.procedure + "\"");
  if (options.flags && !policy::has_flags(*procedure)) {
    return wrong(options.procedure + " has no flags");
  }
  const auto uri = opened(options.target, loaded.config);
  if (loaded.config.find(options.target) == nullptr && !uri) return wrong(uri.error());
  const auto who = somebody(options);
  if (!who) return wrong(who.error());
  const policy::Access access(loaded.config.rules);
  if (uri && access.opens(uri->parts) == nullptr) {
    std::printf("refused: no pattern of open_uris lets clients name %s\n", uri->text.c_str());
    return 1;
  }
  const policy::Seen seen =
      uri ? policy::Seen(uri->text, &uri->parts) : policy::Seen(options.target);
  const policy::Explanation answer =
      policy::explain(access, who->identity(), seen, *procedure, options.flags);
  std::printf("%s: %s\n", answer.passes ? "passes" : "refused", answer.reason.c_str());
  return answer.passes ? 0 : 1;
}

}  // namespace proxy
