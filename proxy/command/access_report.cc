#include "proxy/command/access_report.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "conf/mask.h"
#include "policy/message.h"
#include "policy/pretend.h"
#include "policy/procedures.h"

namespace proxy {
namespace {

using Json = nlohmann::ordered_json;
using policy::AccessRule;
using policy::Procedure;

constexpr std::array<std::uint32_t, 3> kPrograms = {policy::kRemoteProgram, policy::kQemuProgram,
                                                    policy::kLxcProgram};
constexpr std::size_t kMostText = 4096;

struct Calls {
  std::size_t all = 0;  // that read, on whatever target
  std::vector<std::string_view> refused;

  [[nodiscard]] std::size_t allowed() const { return all - refused.size(); }
};

Calls calls_of(const policy::Grant& grant) {
  Calls out;
  for (const std::uint32_t program : kPrograms) {
    for (const Procedure& procedure : policy::procedures_of(program)) {
      if (procedure.rule != policy::Rule::pass && procedure.rule != policy::Rule::check) continue;
      ++out.all;
      if (!grant.may(procedure)) out.refused.push_back(procedure.name);
    }
  }
  return out;
}

bool refuses_secrets(const policy::Access& access, const AccessRule* rule) {
  const policy::SecureXml of_all = access.rules().secure_xml;
  const auto what = rule == nullptr ? of_all : rule->secure_xml.value_or(of_all);
  return what == policy::SecureXml::refuse;
}

std::vector<std::pair<std::string_view, std::uint32_t>> limits_of(const AccessRule* rule) {
  const policy::RuleLimits none;
  const policy::RuleLimits& limits = rule == nullptr ? none : rule->limits;
  std::vector<std::pair<std::string_view, std::uint32_t>> out = {
      {"clients", limits.clients},
      {"calls_per_second", limits.calls_per_second},
      {"calls_in_flight", limits.calls_in_flight},
      {"queue", limits.queue},
  };
  std::erase_if(out, [](const auto& one) { return one.second == 0; });
  return out;
}

std::string shown(std::string_view text) { return base::printable(conf::masked(text), kMostText); }

template <typename Words>
std::string joined(const Words& words, std::string_view quote) {
  std::string out;
  for (const auto& word : words) {
    out += fmt::format("{}{}{}{}", out.empty() ? "" : ", ", quote, shown(word), quote);
  }
  return out;
}

// What is the same for several targets of a person.
struct Right {
  std::optional<policy::Grant> grant;  // nothing: they are not seen
  bool xend = false;
  std::vector<std::string_view> targets;
  std::string why_not;  // of the first; raw

  [[nodiscard]] const AccessRule* rule() const { return grant ? grant->rule() : nullptr; }
  [[nodiscard]] bool same(const Right& other) const {
    return grant.has_value() == other.grant.has_value() && rule() == other.rule() &&
           xend == other.xend;
  }
};

Right right_on(const policy::Access& access, const Person& person,
               const conf::TargetConfig& target) {
  Right out;
  out.xend = target.protocol == conf::Protocol::xend;
  out.targets = {target.name};
  auto grant = access.grant(person.who.identity(), target.name);
  if (grant) {
    out.grant = grant.value();
  } else {
    out.why_not = grant.error();
  }
  return out;
}

std::vector<Right> rights_of(const policy::Access& access, const Person& person, Reviewed targets) {
  std::vector<Right> out;
  for (const conf::TargetConfig* target : targets) {
    Right next = right_on(access, person, *target);
    const auto same = std::ranges::find_if(out, [&](const Right& one) { return one.same(next); });
    if (same == out.end()) {
      out.push_back(std::move(next));
    } else {
      same->targets.push_back(target->name);
    }
  }
  return out;
}

// What a rule says, in its own words.
std::string words_of(const policy::Access& access, const AccessRule* rule) {
  std::string out;
  if (rule != nullptr) {
    out += "  allow " + joined(rule->allow, "\"");
    if (!rule->deny.empty()) out += "; deny " + joined(rule->deny, "\"");
    out += '\n';
  }
  out += refuses_secrets(access, rule) ? "  asking for passwords in descriptions is refused\n"
                                       : "  passwords are left out of descriptions\n";
  const auto pretend = policy::pretended_by(access.rules(), rule);
  if (!pretend.empty()) {
    out += "  answered as done, and not sent on: " + joined(pretend, "") + '\n';
  }
  std::string limits;
  for (const auto& [name, value] : limits_of(rule)) {
    limits += fmt::format("{}{} = {}", limits.empty() ? "" : ", ", name, value);
  }
  if (!limits.empty()) out += "  of each user: " + limits + '\n';
  return out;
}

std::string calls_text(const Right& right) {
  if (!right.grant) return "nothing";
  if (right.xend) return "what reads of xend's HTTP";
  const Calls calls = calls_of(*right.grant);
  if (calls.refused.empty()) return "everything that reads";
  return fmt::format("{} of {} procedures that read", calls.allowed(), calls.all);
}

std::string id_text(const Person& person) {
  if (!person.id) return shown(person.name);
  const char* id = person.kind == "user" ? "uid" : "gid";
  const std::string number = std::to_string(*person.id);
  if (person.name == number) return fmt::format("{} {}", person.kind, number);
  return fmt::format("{} {} ({} {})", person.kind, shown(person.name), id, number);
}

Json json_of(const policy::Access& access, const Right& right) {
  Json out;
  out["target"] = conf::masked(right.targets.front());
  out["sees"] = right.grant.has_value();
  out["reason"] = right.grant ? right.grant->because() : right.why_not;
  if (!right.grant) return out;
  const Calls calls = calls_of(*right.grant);
  Json limits = Json::object();
  for (const auto& [name, value] : limits_of(right.rule())) limits[std::string(name)] = value;
  out["rule"] = right.rule() == nullptr ? Json() : Json(right.rule()->place);
  out["calls"] = calls.allowed();
  out["of"] = calls.all;
  out["refused"] = calls.refused;
  out["pretended"] = policy::pretended_by(access.rules(), right.rule());
  out["secure_xml"] = refuses_secrets(access, right.rule()) ? "refuse" : "omit";
  out["limits"] = std::move(limits);
  return out;
}

Json json_of(const policy::Access& access, const Person& person, Reviewed targets) {
  Json out;
  out["kind"] = person.kind;
  out["id"] = person.id ? Json(*person.id) : Json();
  out["name"] = person.name;
  out["targets"] = Json::array();
  for (const conf::TargetConfig* target : targets) {
    out["targets"].push_back(json_of(access, right_on(access, person, *target)));
  }
  return out;
}

std::string dumped(const Json& json) {
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

template <typename Range>
bool holds(const Range& range, std::uint32_t value) {
  return std::ranges::find(range, value) != range.end();
}

using Row = std::array<std::string, 4>;

std::string table(const std::vector<Row>& rows) {
  std::array<std::size_t, 4> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    out += fmt::format("{:<{}}  {:<{}}  {:<{}}  {}\n", row[0], widths[0], row[1], widths[1], row[2],
                       widths[2], row[3]);
  }
  return out;
}

std::size_t number_of(const policy::Access& access, const AccessRule* rule) {
  return static_cast<std::size_t>(rule - access.rules().rules.data()) + 1;
}

std::string rules_text(const policy::Access& access) {
  std::string out;
  std::size_t number = 0;
  for (const AccessRule& rule : access.rules().rules) {
    out += fmt::format("rule {} ({})\n  targets {}\n{}", ++number, shown(rule.place),
                       joined(rule.targets, "\""), words_of(access, &rule));
  }
  if (number == 0) out = "no rules\n" + words_of(access, nullptr);
  if (!access.rules().open_uris.empty()) {
    out +=
        "URIs that are no targets: what open_uris lets pass, for whom a rule with targets \"*\" "
        "or with that pattern is\n";
  }
  return out;
}

}  // namespace

std::vector<Person> people_of(const policy::Rules& rules, const Accounts& accounts) {
  std::vector<std::uint32_t> users;
  std::vector<std::uint32_t> groups;
  for (const AccessRule& rule : rules.rules) {
    for (const std::uint32_t uid : rule.users) {
      if (uid != policy::kUnknown && !holds(users, uid)) users.push_back(uid);
    }
    for (const std::uint32_t gid : rule.groups) {
      if (!holds(groups, gid)) groups.push_back(gid);
    }
  }
  std::uint32_t stranger = policy::kUnknown - 1;
  while (holds(users, stranger) || holds(groups, stranger)) --stranger;
  std::vector<Person> out;
  out.reserve(users.size() + groups.size() + 1);
  for (const std::uint32_t uid : users) {
    out.push_back({"user", uid, accounts.user_name(uid), {accounts.account(uid)}});
  }
  for (const std::uint32_t gid : groups) {
    out.push_back({"group", gid, accounts.group_name(gid), {{stranger, gid, {}}}});
  }
  out.push_back(
      {"other", {}, out.empty() ? "everybody" : "anybody else", {{stranger, stranger, {}}}});
  return out;
}

std::string rights_text(const policy::Access& access, const Person& person, Reviewed targets) {
  std::string out = id_text(person) + '\n';
  for (const Right& right : rights_of(access, person, targets)) {
    out += joined(right.targets, "") + ": " + calls_text(right);
    if (!right.grant) {
      out +=
          ", because " +
          std::string(access.rules().rules.empty() ? "there are no rules" : "no rule lets them") +
          '\n';
      continue;
    }
    out += fmt::format(
        ", by {}\n{}",
        right.rule() == nullptr ? "default, as there are no rules" : shown(right.grant->because()),
        words_of(access, right.rule()));
    if (right.xend) continue;
    const Calls calls = calls_of(*right.grant);
    if (!calls.refused.empty() && calls.refused.size() <= calls.allowed()) {
      out += "  not " + joined(calls.refused, "") + '\n';
    }
  }
  if (!access.rules().open_uris.empty()) {
    out += "of URIs that open_uris lets clients name, \"policy explain --target URI\" says it\n";
  }
  return out;
}

std::string rights_json(const policy::Access& access, const Person& person, Reviewed targets) {
  return dumped(json_of(access, person, targets));
}

std::string matrix_text(const policy::Access& access, std::span<const Person> people,
                        Reviewed targets) {
  std::vector<Row> rows = {{"WHO", "TARGETS", "BY", "MAY CALL"}};
  for (const Person& person : people) {
    for (const Right& right : rights_of(access, person, targets)) {
      const std::string by =
          right.rule() == nullptr ? "-" : fmt::format("rule {}", number_of(access, right.rule()));
      rows.push_back({id_text(person), joined(right.targets, ""), by, calls_text(right)});
    }
  }
  return table(rows) + '\n' + rules_text(access);
}

std::string matrix_json(const policy::Access& access, std::span<const Person> people,
                        Reviewed targets) {
  Json out = Json::array();
  for (const Person& person : people) out.push_back(json_of(access, person, targets));
  return dumped(out);
}

}  // namespace proxy
