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

namespace {

// Programs take 127.0.0.1 in them for their own host's.
bool is_of_a_far_host(const Procedure& procedure) {
  return &procedure == &find_procedure(Remote::DOMAIN_GET_XML_DESC);
}

}  // namespace

Explanation explain(const Access& access, const Identity& who, const Seen& target,
                    const Procedure& procedure, std::optional<std::uint32_t> flags) {
  const auto grant = access.grant(who, target);
  if (!grant) return {false, grant.error()};
  const Header header{.program = procedure.program, .procedure = procedure.number};
  const base::Buffer body = example_arguments(procedure, flags);
  base::Buffer encoded;
  const Verdict verdict = judge(header, body, encoded);
  if (verdict.decision == Decision::refuse && grant->pretends(procedure)) {
    return {true, "the gate answers that it is done, and sends nothing on (\"pretend\"); " +
                      grant->because()};
  }
  if (verdict.decision == Decision::refuse) return {false, verdict.fault.text};
  if (!grant->may(procedure)) {
    return {false, grant->because() + " does not allow " + std::string(procedure.name)};
  }
  if (const auto fault = grant->refusal_of(procedure, verdict.arguments)) {
    return {false, "secure_xml is \"refuse\": " + fault->text + "; " + grant->because()};
  }
  std::string reason =
      verdict.decision == Decision::answer ? "the gate answers it itself" : "it only reads";
  if (verdict.arguments.amendment == Amendment::secure_omitted) {
    reason += "; SECURE is left out of what is sent on, so the answer has no passwords";
  } else if (verdict.arguments.amendment == Amendment::statistics_kept) {
    reason += "; KEEP_COMPLETED is added to what is sent on, so nothing is discarded";
  }
  if (is_of_a_far_host(procedure)) {
    reason += "; the address that <graphics> listens on is one of the far host";
  }
  if (procedure.rule == Rule::check && !flags) {
    reason += "; its arguments can change that (" + std::string(procedure.note) + ")";
  }
  return {true, reason + "; " + grant->because()};
}

}  // namespace policy
