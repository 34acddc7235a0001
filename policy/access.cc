#include "policy/access.h"

#include <algorithm>
#include <array>

#include "base/pattern.h"
#include "base/text.h"
#include "policy/events.h"
#include "policy/message.h"

namespace policy {
namespace {

constexpr std::array<std::uint32_t, 3> kPrograms = {kRemoteProgram, kQemuProgram, kLxcProgram};

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns,
                             [&](const auto& pattern) { return base::matches(pattern, text); });
}

template <typename Range>
bool holds(const Range& range, std::uint32_t id) {
  return std::ranges::find(range, id) != range.end();
}

bool is_for(const AccessRule& rule, const Identity& who) {
  if (holds(rule.users, who.uid)) return true;
  // The groups of a user whom the kernel cannot name are somebody else's.
  if (who.uid == kNobody) return false;
  if (rule.users.empty() && rule.groups.empty()) return true;
  return holds(rule.groups, who.gid) || std::ranges::any_of(who.groups, [&](std::uint32_t gid) {
           return holds(rule.groups, gid);
         });
}

bool matches(const UriPattern& pattern, const UriParts& uri) {
  const bool port =
      pattern.port.empty() ? uri.usual_port : base::matches(pattern.port, std::to_string(uri.port));
  return port && base::matches(pattern.scheme, uri.scheme) &&
         base::matches(pattern.user, uri.user) && base::matches(pattern.host, uri.host) &&
         base::matches(pattern.path, uri.path);
}

bool is_of(const AccessRule& rule, const Seen& target) {
  if (target.uri == nullptr) return any_matches(rule.targets, target.name);
  return std::ranges::find(rule.targets, "*") != rule.targets.end() ||
         std::ranges::any_of(rule.uris, [&](const auto& one) { return matches(one, *target.uri); });
}

// Those that make up a connection, or end what was begun, are nobody's to forbid.
bool is_subject_to_rules(const Procedure& procedure) {
  if (procedure.rule == Rule::pass || procedure.rule == Rule::check) return true;
  if (procedure.rule != Rule::local || procedure.program != kRemoteProgram) return false;
  const EventCall* event = find_event_call(procedure.number);
  return event != nullptr && event->adds;
}

}  // namespace

bool Grant::may(const Procedure& procedure) const {
  return refused_ == nullptr || !std::ranges::binary_search(*refused_, &procedure);
}

std::string Grant::because() const {
  if (rule_ == nullptr) return "there are no rules";
  return "rule " + std::to_string(number_) + " (" + rule_->place + ")";
}

Access::Access(Rules rules) : rules_(std::move(rules)) {
  for (const AccessRule& rule : rules_.rules) {
    std::vector<const Procedure*>& refused = refused_.emplace_back();
    for (const std::uint32_t program : kPrograms) {
      for (const Procedure& procedure : procedures_of(program)) {
        if (!is_subject_to_rules(procedure)) continue;
        const bool allowed =
            any_matches(rule.allow, procedure.name) && !any_matches(rule.deny, procedure.name);
        if (!allowed) refused.push_back(&procedure);
      }
    }
    std::ranges::sort(refused);
  }
}

base::Result<Grant, std::string> Access::grant(const Identity& who, const Seen& target) const {
  Grant grant;
  if (rules_.rules.empty()) return grant;
  for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
    const AccessRule& rule = rules_.rules[i];
    if (!is_for(rule, who) || !is_of(rule, target)) continue;
    grant.rule_ = &rule;
    grant.number_ = i + 1;
    grant.refused_ = &refused_[i];
    return grant;
  }
  std::string text = "user " + std::to_string(who.uid) + " may not see target '" +
                     base::printable(target.name) + "': no rule of the policy lets them";
  if (who.uid == kNobody) text += ", and for this user one must name the number";
  return base::Failure{std::move(text)};
}

const OpenUri* Access::opens(const UriParts& uri) const {
  const auto found = std::ranges::find_if(
      rules_.open_uris, [&](const OpenUri& open) { return matches(open.pattern, uri); });
  return found == rules_.open_uris.end() ? nullptr : &*found;
}

bool names_some_procedure(std::string_view pattern) {
  return std::ranges::any_of(kPrograms, [&](std::uint32_t program) {
    return std::ranges::any_of(procedures_of(program), [&](const Procedure& procedure) {
      return is_subject_to_rules(procedure) && base::matches(pattern, procedure.name);
    });
  });
}

}  // namespace policy
