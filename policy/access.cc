#include "policy/access.h"

#include <algorithm>
#include <array>

#include "base/pattern.h"
#include "base/text.h"
#include "policy/events.h"
#include "policy/message.h"
#include "policy/pretend.h"

namespace policy {
namespace {

constexpr std::array<std::uint32_t, 3> kPrograms = {kRemoteProgram, kQemuProgram, kLxcProgram};

template <typename Range, typename Value>
bool holds(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != range.end();
}

bool is_for(const AccessRule& rule, const Identity& who) {
  if (who.uid == kUnknown) return false;
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
  if (target.uri == nullptr) return base::any_matches(rule.targets, target.name);
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

std::vector<const Procedure*> refused_by(const AccessRule& rule) {
  std::vector<const Procedure*> refused;
  for (const std::uint32_t program : kPrograms) {
    for (const Procedure& procedure : procedures_of(program)) {
      if (!is_subject_to_rules(procedure)) continue;
      const bool allowed = base::any_matches(rule.allow, procedure.name) &&
                           !base::any_matches(rule.deny, procedure.name);
      if (!allowed) refused.push_back(&procedure);
    }
  }
  std::ranges::sort(refused);
  return refused;
}

std::vector<const Procedure*> pretended(const Rules& rules, const AccessRule* rule) {
  const std::vector<std::string_view> names = pretended_by(rules, rule);
  std::vector<const Procedure*> found;
  found.reserve(names.size());
  for (const std::string_view name : names) found.push_back(find_procedure(name));
  std::ranges::sort(found);
  return found;
}

}  // namespace

bool Grant::may(const Procedure& procedure) const {
  return effect_ == nullptr || !std::ranges::binary_search(effect_->refused, &procedure);
}

std::optional<Fault> Grant::refusal_of(const Procedure& procedure,
                                       const Arguments& arguments) const {
  const bool refuses = effect_ != nullptr && effect_->secure_xml == SecureXml::refuse;
  if (!refuses || arguments.amendment != Amendment::secure_omitted) return std::nullopt;
  for (const ArgumentSpec& spec : procedure.arguments.specs()) {
    for (const NamedFlag& flag : spec.flags) {
      if (flag.omitted) return policy::refusal_of(procedure, flag);
    }
  }
  return std::nullopt;
}

bool Grant::pretends(const Procedure& procedure) const {
  return effect_ != nullptr && std::ranges::binary_search(effect_->pretended, &procedure);
}

std::string Grant::because() const {
  if (rule_ == nullptr) return "there are no rules";
  return "rule " + std::to_string(number_) + " (" + rule_->place + ")";
}

Access::Access(Rules rules)
    : rules_(std::move(rules)), without_rules_{{}, pretended(rules_, nullptr), rules_.secure_xml} {
  for (const AccessRule& rule : rules_.rules) {
    effects_.push_back(
        {refused_by(rule), pretended(rules_, &rule), rule.secure_xml.value_or(rules_.secure_xml)});
  }
}

base::Result<Grant, std::string> Access::grant(const Identity& who, const Seen& target) const {
  Grant grant;
  grant.effect_ = &without_rules_;
  if (!rules_.restrict()) return grant;
  for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
    const AccessRule& rule = rules_.rules[i];
    if (!is_for(rule, who) || !is_of(rule, target)) continue;
    grant.rule_ = &rule;
    grant.number_ = i + 1;
    grant.effect_ = &effects_[i];
    return grant;
  }
  if (who.uid == kUnknown) {
    return base::Failure{
        "the kernel does not say here who this user is, so no rule lets them see "
        "target '" +
        base::shortened(target.name) + "'"};
  }
  std::string text = "user " + std::to_string(who.uid) + " may not see target '" +
                     base::shortened(target.name) + "': ";
  if (rules_.rules.empty()) {
    return base::Failure{text + "there are no rules, and \"default\" of [policy] is \"deny\""};
  }
  text += "no rule lets them";
  if (who.uid == kNobody) {
    text +=
        "; a rule must name this user itself; one for everybody, or for a group, does not count";
  }
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
