// [policy]
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "conf/accounts.h"
#include "conf/open_uri.h"
#include "conf/sections.h"
#include "conf/text.h"

namespace conf {
namespace {

bool is_procedure_pattern(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '*';
  });
}

// A user or group that is not there, or not yet, is no reason to serve nobody: the rest of the rule
// holds, and that name matches nobody.
template <typename Find>
void read_accounts(Reader& reader, const Node& rule, std::string_view key, std::string_view what,
                   Find find, std::vector<std::uint32_t>& to, policy::AccessRule& whole) {
  const Node* node = rule.find(key);
  if (node == nullptr) return;
  if (node->kind == NodeKind::array && node->children.empty()) {
    reader.mistake(node->position, quoted(key) + " names nobody; without it the rule is for all");
  }
  for (const Node* name : reader.texts(*node)) {
    if (name->text == "*") {
      whole.users.push_back(policy::kUnknown);
      reader.mistake(name->position,
                     "\"*\" names nobody; for everybody leave out users= and groups=");
    } else if (const auto found = find(name->text)) {
      to.push_back(*found);
    } else {
      // A rule that names only such must not become one for everybody.
      whole.users.push_back(policy::kUnknown);
      reader.lapse(name->position,
                   "the rule lets nobody in by this name until a reload finds it: " +
                       no_account(what, name->text));
    }
  }
}

void read_procedures(Reader& reader, const Node& rule, std::string_view key,
                     std::vector<std::string>& to, ConfigDraft& draft) {
  const Node* node = rule.find(key);
  if (node == nullptr) return;
  for (const Node* pattern : reader.texts(*node)) {
    if (!is_procedure_pattern(pattern->text)) {
      reader.mistake(pattern->position,
                     quoted(pattern->text) +
                         " cannot be the name of a procedure; it must be of capital letters, "
                         "digits, _ and *, such as \"DOMAIN_GET_*\"");
    } else {
      draft.procedures.push_back({pattern->text, reader.position_of(pattern->position)});
    }
    to.push_back(pattern->text);
  }
}

void read_target(Reader& reader, const Node& pattern, policy::AccessRule& rule,
                 ConfigDraft& draft) {
  draft.rule_targets.push_back({pattern.text, reader.position_of(pattern.position)});
  if (!is_uri_pattern(pattern.text)) {
    rule.targets.push_back(pattern.text);
  } else if (auto parsed = parse_uri_pattern(pattern.text)) {
    rule.uris.push_back(std::move(*parsed));
  } else {
    draft.rule_targets.pop_back();
    reader.mistake(pattern.position, parsed.error());
  }
}

void read_default(Reader& reader, const Node& node, policy::Rules& rules) {
  constexpr std::string_view kWanted = "\"allow\" or \"deny\"";
  if (!reader.text(node, kWanted)) return;
  if (node.text == "deny") {
    rules.otherwise = policy::NoRule::deny;
  } else if (node.text == "allow") {
    rules.otherwise = policy::NoRule::allow_without_rules;
  } else {
    reader.mistake(node.position,
                   "\"default\" is " + quoted(node.text) + "; it must be " + std::string(kWanted));
  }
}

std::optional<policy::SecureXml> read_secure_xml(Reader& reader, const Node& table) {
  const Node* node = table.find("secure_xml");
  if (node == nullptr || !reader.text(*node, "\"omit\" or \"refuse\"")) return std::nullopt;
  if (node->text == "omit") return policy::SecureXml::omit;
  if (node->text == "refuse") return policy::SecureXml::refuse;
  reader.mistake(node->position,
                 "\"secure_xml\" is " + quoted(node->text) + "; it must be \"omit\" or \"refuse\"");
  return std::nullopt;
}

std::optional<std::vector<std::string>> read_pretend(Reader& reader, const Node& table) {
  const Node* node = table.find("pretend");
  if (node == nullptr) return std::nullopt;
  std::string list;
  for (const std::string_view name : policy::kPretendable)
    list += (list.empty() ? "" : ", ") + quoted(name);
  std::vector<std::string> names;
  for (const Node* name : reader.texts(*node)) {
    if (std::ranges::find(policy::kPretendable, name->text) == policy::kPretendable.end()) {
      reader.mistake(name->position,
                     quoted(name->text) + " cannot be pretended; only these can: " + list);
    }
    names.push_back(name->text);
  }
  return names;
}

struct RuleLimitKey {
  std::string_view key;
  std::uint32_t policy::RuleLimits::*field;
  std::uint64_t most;
};

constexpr std::array<RuleLimitKey, 4> kRuleLimits = {{
    {"clients", &policy::RuleLimits::clients, 1000000},
    {"calls_per_second", &policy::RuleLimits::calls_per_second, 1000000},
    {"calls_in_flight", &policy::RuleLimits::calls_in_flight, 1024},
    {"queue", &policy::RuleLimits::queue, 1024},
}};

void read_rule(Reader& reader, const Node& table, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 11> kKeys = {
      "users",   "groups",           "targets",         "allow", "deny",   "secure_xml",
      "clients", "calls_per_second", "calls_in_flight", "queue", "pretend"};
  reader.expect_keys(table, "[[policy.rule]]", kKeys);
  policy::AccessRule rule;
  read_accounts(reader, table, "users", "user", find_user, rule.users, rule);
  read_accounts(reader, table, "groups", "group", find_group, rule.groups, rule);
  read_procedures(reader, table, "allow", rule.allow, draft);
  read_procedures(reader, table, "deny", rule.deny, draft);
  for (const auto& [key, field, most] : kRuleLimits) {
    const Node* node = table.find(key);
    if (node == nullptr) continue;
    const auto value = reader.count(*node, 1, most);
    if (value) rule.limits.*field = static_cast<std::uint32_t>(*value);
  }
  rule.secure_xml = read_secure_xml(reader, table);
  rule.pretend = read_pretend(reader, table);
  const Position position = reader.position_of(table.position);
  rule.place = position.file + " line " + std::to_string(position.line);
  draft.rule_positions.push_back(position);
  if (const Node* node = table.find("targets")) {
    for (const Node* pattern : reader.texts(*node)) read_target(reader, *pattern, rule, draft);
  }
  for (const std::string_view key : {"targets", "allow"}) {
    if (table.find(key) != nullptr) continue;
    reader.mistake(table.position, "[[policy.rule]] has no " + quoted(key) +
                                       "; for all of them write [\"*\"], for none []");
  }
  draft.rules.rules.push_back(std::move(rule));
}

void add_open_uri(Reader& reader, const Node& pattern, bool local_addresses, ConfigDraft& draft) {
  auto parsed = parse_uri_pattern(pattern.text);
  if (!parsed) return reader.mistake(pattern.position, parsed.error());
  draft.rules.open_uris.push_back({std::move(*parsed), local_addresses});
}

void read_open_uris(Reader& reader, const Node& node, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 2> kKeys = {"uri", "local_addresses"};
  if (!reader.expect(node, NodeKind::array, "a list")) return;
  for (const Node& entry : node.children) {
    if (entry.kind == NodeKind::text) {
      add_open_uri(reader, entry, false, draft);
      continue;
    }
    if (!reader.expect(entry, NodeKind::table, "a pattern in quotes, or a table with a \"uri\"")) {
      continue;
    }
    reader.expect_keys(entry, "the table", kKeys);
    bool local_addresses = false;
    if (const Node* value = entry.find("local_addresses")) {
      local_addresses = reader.boolean(*value).value_or(false);
    }
    const Node* uri = entry.find("uri");
    if (uri == nullptr) {
      reader.mistake(entry.position, "the table has no \"uri\"");
    } else if (reader.expect(*uri, NodeKind::text, "a pattern in quotes")) {
      add_open_uri(reader, *uri, local_addresses, draft);
    }
  }
}

}  // namespace

void read_policy(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 5> kKeys = {"default", "open_uris", "rule",
                                                            "secure_xml", "pretend"};
  if (!reader.expect(section, NodeKind::table, "a table; write [policy] above its keys")) return;
  reader.expect_keys(section, "[policy]", kKeys);
  if (const Node* node = section.find("default")) read_default(reader, *node, draft.rules);
  if (const Node* node = section.find("open_uris")) read_open_uris(reader, *node, draft);
  if (const auto given = read_secure_xml(reader, section)) draft.rules.secure_xml = *given;
  if (const auto given = read_pretend(reader, section)) draft.rules.pretend = *given;
  if (const Node* node = section.find("rule")) {
    for (const Node* table : reader.tables(*node, "[[policy.rule]]")) {
      read_rule(reader, *table, draft);
    }
  }
}

}  // namespace conf
