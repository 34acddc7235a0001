// A rule is reported as shadowed when rules before it leave it nothing to decide, and where no rule
// matches, the default decides.
#include <optional>
#include <string>
#include <vector>

#include "policy/access.h"
#include "policy/shadow.h"
#include "tests/unit/support/catch.h"

namespace {

using policy::AccessRule;
using Ids = std::vector<std::uint32_t>;
using Names = std::vector<std::string>;

AccessRule rule(Ids users, Ids groups, Names targets) {
  AccessRule out;
  out.users = std::move(users);
  out.groups = std::move(groups);
  out.targets = std::move(targets);
  return out;
}

// By which rule the last one is shadowed.
std::optional<std::size_t> last_of(const std::vector<AccessRule>& rules) {
  return policy::shadowed_by(rules, rules.size() - 1);
}

}  // namespace

TEST_CASE("a rule is shadowed by what is for the same users and targets", "[policy][shadow]") {
  const auto all = rule({}, {}, {"*"});
  CHECK(last_of({all}) == std::nullopt);
  CHECK(last_of({all, rule({1}, {2}, {"hail"})}) == 0);
  CHECK(last_of({all, all}) == 0);
  CHECK(last_of({rule({1}, {}, {"*"}), all}) == std::nullopt);
  CHECK(last_of({rule({1, 2}, {3}, {"*"}), rule({2}, {}, {"hail"})}) == 0);
  CHECK(last_of({rule({1, 2}, {3}, {"*"}), rule({2}, {4}, {"hail"})}) == std::nullopt);
  CHECK(last_of({rule({}, {}, {"h*"}), rule({}, {}, {"ha*"})}) == 0);
  CHECK(last_of({rule({}, {}, {"ha*"}), rule({}, {}, {"h*"})}) == std::nullopt);
  CHECK(last_of({rule({}, {}, {"h*l"}), rule({}, {}, {"h*"})}) == std::nullopt);
  // Several together leave nothing either.
  CHECK(last_of({rule({}, {}, {"b"}), rule({}, {}, {"a"}), rule({5}, {}, {"a", "b"})}) == 1);
  CHECK(last_of({rule({}, {}, {"b"}), rule({}, {}, {"a"}), rule({5}, {}, {"a", "c"})}) ==
        std::nullopt);
  // A rule for everybody lets nobody in whom the kernel cannot name.
  CHECK(last_of({all, rule({policy::kNobody}, {}, {"*"})}) == std::nullopt);
  // Nor is anything known of names that are nobody's now.
  const auto unknown = rule({policy::kUnknown}, {}, {"*"});
  CHECK(last_of({unknown, unknown}) == std::nullopt);
  CHECK(last_of({all, unknown}) == std::nullopt);
  CHECK(last_of({rule({1, policy::kUnknown}, {}, {"*"}), rule({1}, {}, {"*"})}) == std::nullopt);
  // One for no target is meant so.
  CHECK(last_of({all, rule({}, {}, {})}) == std::nullopt);
}

TEST_CASE("where no rule matches, the default decides", "[policy][access]") {
  policy::Rules none;
  CHECK_FALSE(none.restrict());
  CHECK(policy::Access(none).grant({1, 1, {}}, "hail").ok());
  none.otherwise = policy::NoRule::deny;
  CHECK(none.restrict());
  CHECK(policy::Access(none).grant({1, 1, {}}, "hail").error() ==
        "user 1 may not see target 'hail': there are no rules, and \"default\" of [policy] is "
        "\"deny\"");
  none.rules = {rule({1}, {}, {"hail"})};
  CHECK(policy::Access(none).grant({1, 1, {}}, "hail").ok());
  CHECK(policy::Access(none).grant({2, 1, {}}, "hail").error() ==
        "user 2 may not see target 'hail': no rule lets them");
}
