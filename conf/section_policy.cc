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

template <typename Find>
void read_accounts(Reader& reader, const Node& rule, std::string_view key, std::string_view what,
                   Find find, std::vector<std::uint32_t>& to) {
  const Node* node = rule.find(key);
  if (node == nullptr) return;
  if (node->kind == Kind::array && node->children.empty()) {
    reader.mistake(node->position, quoted(key) + " names nobody; without it the rule is for all");
  }
  for (const Node* name : reader.texts(*node)) {
    if (const auto found = find(name->text)) {
      to.push_back(*found);
    } else {
      reader.mistake(name->position, "there is no " + std::string(what) + " " + quoted(name->text));
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
      draft.procedures.push_back({pattern->text, reader.place(pattern->position)});
    }
    to.push_back(pattern->text);
  }
}

void read_target(Reader& reader, const Node& pattern, policy::AccessRule& rule,
                 ConfigDraft& draft) {
  draft.rule_targets.push_back({pattern.text, reader.place(pattern.position)});
  if (!is_uri_pattern(pattern.text)) {
    rule.targets.push_back(pattern.text);
  } else if (auto parsed = parse_uri_pattern(pattern.text)) {
    rule.uris.push_back(std::move(*parsed));
  } else {
    draft.rule_targets.pop_back();
    reader.mistake(pattern.position, parsed.error());
  }
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
  static constexpr std::array<std::string_view, 9> kKeys = {
      "users",   "groups",           "targets",         "allow", "deny",
      "clients", "calls_per_second", "calls_in_flight", "queue"};
  reader.expect_keys(table, "[[policy.rule]]", kKeys);
  policy::AccessRule rule;
  read_accounts(reader, table, "users", "user", find_user, rule.users);
  read_accounts(reader, table, "groups", "group", find_group, rule.groups);
  read_procedures(reader, table, "allow", rule.allow, draft);
  read_procedures(reader, table, "deny", rule.deny, draft);
  for (const auto& [key, field, most] : kRuleLimits) {
    const Node* node = table.find(key);
    if (node == nullptr) continue;
    const auto value = reader.count(*node, 1, most);
    if (value) rule.limits.*field = static_cast<std::uint32_t>(*value);
  }
  const Place place = reader.place(table.position);
  rule.place = place.file + " line " + std::to_string(place.line);
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
  if (!reader.expect(node, Kind::array, "a list")) return;
  for (const Node& entry : node.children) {
    if (entry.kind == Kind::text) {
      add_open_uri(reader, entry, false, draft);
      continue;
    }
    if (!reader.expect(entry, Kind::table, "a pattern in quotes, or a table with a \"uri\"")) {
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
    } else if (reader.expect(*uri, Kind::text, "a pattern in quotes")) {
      add_open_uri(reader, *uri, local_addresses, draft);
    }
  }
}

}  // namespace

void read_policy(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 2> kKeys = {"open_uris", "rule"};
  if (!reader.expect(section, Kind::table, "a table, begun by [policy]")) return;
  reader.expect_keys(section, "[policy]", kKeys);
  if (const Node* node = section.find("open_uris")) read_open_uris(reader, *node, draft);
  if (const Node* node = section.find("rule")) {
    for (const Node* table : reader.tables(*node, "[[policy.rule]]")) {
      read_rule(reader, *table, draft);
    }
  }
}

void read_audit(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 2> kKeys = {"file", "calls"};
  if (!reader.expect(section, Kind::table, "a table, begun by [audit]")) return;
  reader.expect_keys(section, "[audit]", kKeys);
  if (const Node* node = section.find("file")) {
    draft.audit.file = reader.text(*node, "a path in quotes").value_or("");
    if (node->kind == Kind::text && (has_controls(node->text) || !node->text.starts_with('/'))) {
      reader.mistake(node->position, "\"file\" is " + quoted(node->text) +
                                         "; it must be a path "
                                         "that begins with /");
    }
  }
  if (const Node* node = section.find("calls")) {
    draft.audit.calls = reader.boolean(*node).value_or(false);
    if (draft.audit.calls && section.find("file") == nullptr) {
      reader.mistake(node->position,
                     "calls are recorded in a file only, and [audit] has no \"file\"");
    }
  }
}

}  // namespace conf
