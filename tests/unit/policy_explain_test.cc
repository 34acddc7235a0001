// An explanation agrees with the filter for every procedure and every bit of its flags, and names
// the rule or flag that decided.
#include "policy/example.h"
#include "policy/explain.h"
#include "policy/filter.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"

using policy::Access;
using policy::Decision;
using policy::explain;
using policy::Identity;
using policy::Procedure;
using policy::Rules;

TEST_CASE("examples of arguments pass wherever the procedure does", "[policy][explain]") {
  for (const Procedure* procedure : test::all_procedures()) {
    CAPTURE(procedure->name);
    base::Buffer encoded;
    const base::Buffer body = policy::example_arguments(*procedure);
    const Decision decision = judge(test::call_of(*procedure), body, encoded).decision;
    const bool refused =
        procedure->rule == policy::Rule::deny || procedure->rule == policy::Rule::event;
    CHECK((decision == Decision::refuse) == refused);
  }
}

TEST_CASE("what is explained is what the filter does, for every bit of flags",
          "[policy][explain]") {
  const Access access{Rules{}};
  for (const Procedure* procedure : test::all_procedures()) {
    if (!policy::has_flags(*procedure)) continue;
    for (unsigned bit = 0; bit < 32; ++bit) {
      CAPTURE(procedure->name, bit);
      const std::uint32_t flags = std::uint32_t{1} << bit;
      base::Buffer encoded;
      const base::Buffer body = test::body_with(*procedure, {{"flags", flags}});
      const bool passes =
          judge(test::call_of(*procedure), body, encoded).decision != Decision::refuse;
      CHECK(explain(access, {1000, 1000, {}}, "hail", *procedure, flags).passes == passes);
    }
  }
}

TEST_CASE("an explanation names what decided", "[policy][explain]") {
  policy::AccessRule rule;
  rule.users = {1000};
  rule.targets = {"hail"};
  rule.allow = {"*"};
  rule.deny = {"NODE_*"};
  rule.place = "f line 9";
  const Access access{Rules{{}, {rule}}};
  const auto reason = [&](std::uint32_t uid, std::string_view name,
                          std::optional<std::uint32_t> flags = {}) {
    return explain(access, {uid, 1, {}}, "hail", *policy::find_procedure(name), flags).reason;
  };
  CHECK(reason(1000, "DOMAIN_GET_INFO") == "it only reads; rule 1 (f line 9)");
  CHECK(reason(1000, "NODE_GET_INFO") == "rule 1 (f line 9) does not allow NODE_GET_INFO");
  CHECK(reason(1001, "DOMAIN_GET_INFO") ==
        "user 1001 may not see target 'hail': no rule lets them");
  CHECK(reason(1000, "DOMAIN_DESTROY") == "virtgate is read-only: DOMAIN_DESTROY stops the domain");
  CHECK(reason(1000, "DOMAIN_GET_XML_DESC", 1) ==
        "it only reads; SECURE is left out of what is sent on, so the answer has no passwords; the "
        "address that <graphics> listens on is "
        "one of the far host; rule 1 (f line 9)");
  CHECK(reason(1000, "DOMAIN_GET_XML_DESC", 8) ==
        "virtgate is read-only: flag MIGRATABLE is refused: it reveals passwords");
  CHECK(reason(1000, "DOMAIN_GET_JOB_STATS", 1) ==
        "it only reads; KEEP_COMPLETED is "
        "added to what is sent on, so nothing is discarded; rule 1 (f line 9)");
  CHECK(reason(1000, "DOMAIN_GET_VCPUS_FLAGS", 8) ==
        "virtgate is read-only: flag GUEST is refused: it asks the guest agent");
  CHECK(
      reason(1000, "DOMAIN_GET_XML_DESC").find("; its arguments can change that (SECURE, which") !=
      std::string::npos);
  CHECK(reason(1000, "CONNECT_OPEN") == "the gate answers it itself; rule 1 (f line 9)");
}

TEST_CASE("an explanation says what the configuration makes of calls that do not read",
          "[policy][explain]") {
  Rules rules;
  rules.secure_xml = policy::SecureXml::refuse;
  rules.pretend = {"STORAGE_POOL_REFRESH"};
  const auto explained = [&](std::string_view name, std::optional<std::uint32_t> flags = {}) {
    return explain(Access(rules), {1000, 1, {}}, "hail", *policy::find_procedure(name), flags);
  };
  const policy::Explanation secure = explained("DOMAIN_GET_XML_DESC", 1);
  CHECK_FALSE(secure.passes);
  CHECK(secure.reason ==
        "secure_xml is \"refuse\": virtgate is read-only: flag SECURE is refused: it reveals "
        "passwords; there are no rules");
  CHECK(explained("DOMAIN_GET_XML_DESC", 2).passes);
  const policy::Explanation refresh = explained("STORAGE_POOL_REFRESH");
  CHECK(refresh.passes);
  CHECK(refresh.reason ==
        "the gate answers that it is done, and sends nothing on (\"pretend\"); there are no rules");
  CHECK_FALSE(explained("STORAGE_POOL_BUILD").passes);
  policy::AccessRule rule;
  rule.targets = {"*"};
  rule.allow = {"DOMAIN_GET_*"};
  rules.rules = {rule};
  CHECK(explained("STORAGE_POOL_REFRESH").reason.find("read-only") != std::string::npos);
  CHECK_FALSE(explained("STORAGE_POOL_REFRESH").passes);
  rules.rules[0].pretend = rules.pretend;
  CHECK(explained("STORAGE_POOL_REFRESH").passes);
  rules.rules[0] = rule;
  rules.rules[0].allow = {"STORAGE_POOL_*"};
  CHECK(explained("STORAGE_POOL_REFRESH").passes);
  rules.rules.clear();
  rules.pretend.clear();
  CHECK_FALSE(explained("STORAGE_POOL_REFRESH").passes);
}
