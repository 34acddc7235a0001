#include "policy/explain.h"

#include "policy/example.h"
#include "policy/filter.h"

namespace policy {

std::string_view rule_words(Rule rule) {
  switch (rule) {
    case Rule::pass:
      return "passes";
    case Rule::check:
      return "depends on its arguments";
    case Rule::local:
      return "answered by the gate";
    case Rule::deny:
      return "refused";
    case Rule::event:
      return "event";
  }
  return {};
}

Explanation explain(const Access& access, const Identity& who, const Seen& target,
                    const Procedure& procedure, std::optional<std::uint32_t> flags) {
  const auto grant = access.grant(who, target);
  if (!grant) return {false, grant.error()};
  const Header header{.program = procedure.program, .procedure = procedure.number};
  const base::Buffer body = example_arguments(procedure, flags);
  base::Buffer encoded;
  const Verdict verdict = judge(header, body, encoded);
  if (verdict.decision == Decision::refuse) return {false, "the table: " + verdict.fault.text};
  if (!grant->may(procedure)) {
    return {false, grant->because() + " does not allow " + std::string(procedure.name)};
  }
  std::string reason = verdict.decision == Decision::answer
                           ? "the gate answers it itself"
                           : "the table: it reads, and its arguments are held to their signature";
  if (procedure.rule == Rule::check && !flags) {
    reason += "; what its arguments are can change that (" + std::string(procedure.note) + ")";
  }
  return {true, reason + "; " + grant->because()};
}

}  // namespace policy
