#include "policy/example.h"
#include "policy/explain.h"
#include "policy/filter.h"
#include "tests/unit/catch.h"
#include "tests/unit/policy_bodies.h"

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
  CHECK(reason(1000, "DOMAIN_GET_INFO") ==
        "the table: it reads, and its arguments are held to their signature; rule 1 (f line 9)");
  CHECK(reason(1000, "NODE_GET_INFO") == "rule 1 (f line 9) does not allow NODE_GET_INFO");
  CHECK(reason(1001, "DOMAIN_GET_INFO") ==
        "user 1001 may not see target 'hail': no rule of the policy lets them");
  CHECK(reason(1000, "DOMAIN_DESTROY") ==
        "the table: virtgate is read-only: DOMAIN_DESTROY stops the domain");
  CHECK(reason(1000, "DOMAIN_GET_XML_DESC", 1) ==
        "the table: virtgate refuses DOMAIN_GET_XML_DESC: bits 0x1 of flags are not known to read "
        "(SECURE and MIGRATABLE reveal passwords)");
  CHECK(reason(1000, "DOMAIN_GET_XML_DESC").find("can change that (SECURE and") !=
        std::string::npos);
  CHECK(reason(1000, "CONNECT_OPEN") == "the gate answers it itself; rule 1 (f line 9)");
}
