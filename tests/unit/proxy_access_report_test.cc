// What a user may read is said of each target by the rule that decides in the gate, and the matrix
// has a line for whomever the rules tell apart.
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "proxy/command/access_report.h"
#include "tests/unit/support/catch.h"

using Catch::Contains;
using policy::AccessRule;
using proxy::Person;

namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::uint32_t>;

constexpr std::uint32_t kAnna = 1001;
constexpr std::uint32_t kHelpdesk = 27;

AccessRule rule(Ids users, Ids groups, std::vector<std::string> targets,
                std::vector<std::string> allow, std::vector<std::string> deny) {
  AccessRule out;
  out.users = std::move(users);
  out.groups = std::move(groups);
  out.targets = std::move(targets);
  out.allow = std::move(allow);
  out.deny = std::move(deny);
  return out;
}

struct Scene {
  explicit Scene(policy::Rules rules) : access(std::move(rules)) {
    for (const char* name : {"hail", "sleet", "fog"}) {
      configured.push_back({});
      configured.back().name = name;
    }
    for (const conf::TargetConfig& target : configured) targets.push_back(&target);
  }

  std::vector<conf::TargetConfig> configured;
  std::vector<const conf::TargetConfig*> targets;
  const policy::Access access;
};

policy::Rules some_rules() {
  policy::Rules rules;
  rules.rules.push_back(
      rule({kAnna}, {}, {"hail", "sleet"}, {"*"}, {"DOMAIN_GET_XML_DESC", "NETWORK_*"}));
  rules.rules.back().place = "f line 4";
  rules.rules.back().limits.calls_per_second = 200;
  rules.rules.back().secure_xml = policy::SecureXml::refuse;
  rules.rules.push_back(rule({}, {kHelpdesk}, {"*"}, {"CONNECT_*"}, {}));
  rules.rules.back().place = "f line 9";
  rules.rules.back().pretend = {{"STORAGE_POOL_REFRESH"}};
  return rules;
}

Person anna(Ids groups = {}) {
  return {"user", kAnna, "anna", {{kAnna, kAnna, std::move(groups)}}};
}

std::vector<Person> people(const policy::Rules& rules) {
  return proxy::people_of(
      rules,
      {[](std::uint32_t uid) -> conf::Account {
         return {uid, uid, {uid == kAnna ? kHelpdesk : 5}};
       },
       [](std::uint32_t uid) -> std::string { return uid == kAnna ? "anna" : "?"; },
       [](std::uint32_t gid) -> std::string { return gid == kHelpdesk ? "helpdesk" : "?"; }});
}

}  // namespace

TEST_CASE("what a user may read is said once for targets that are alike", "[proxy][policy]") {
  const Scene scene(some_rules());
  const std::string text = proxy::rights_text(scene.access, anna(), scene.targets);
  CHECK_THAT(text, Contains("user anna (uid 1001)\nhail, sleet: "));
  CHECK_THAT(text, Contains(" procedures that read, by rule 1 (f line 4)\n"
                            "  allow \"*\"; deny \"DOMAIN_GET_XML_DESC\", \"NETWORK_*\"\n"
                            "  asking for passwords in descriptions is refused\n"
                            "  of each user: calls_per_second = 200\n"
                            "  not DOMAIN_GET_XML_DESC, NETWORK_"));
  CHECK_THAT(text, Contains("\nfog: nothing, because no rule lets them\n"));

  const std::string more = proxy::rights_text(scene.access, anna({kHelpdesk}), scene.targets);
  CHECK_THAT(more, Contains("\nfog: ") && Contains("by rule 2 (f line 9)") &&
                       Contains("not sent on: STORAGE_POOL_REFRESH"));
}

TEST_CASE("as JSON it has every target and every call that is refused", "[proxy][policy]") {
  const Scene scene(some_rules());
  const Json said = Json::parse(proxy::rights_json(scene.access, anna(), scene.targets));
  CHECK(said["kind"] == "user");
  CHECK(said["id"] == kAnna);
  REQUIRE(said["targets"].size() == 3);
  const Json& hail = said["targets"][0];
  CHECK(hail["target"] == "hail");
  CHECK(hail["sees"] == true);
  CHECK(hail["rule"] == "f line 4");
  CHECK(hail["secure_xml"] == "refuse");
  CHECK(hail["limits"]["calls_per_second"] == 200);
  CHECK(hail["calls"].get<std::size_t>() + hail["refused"].size() == hail["of"]);
  const auto grant = scene.access.grant({kAnna, kAnna, {}}, "hail");
  REQUIRE(grant);
  for (const Json& name : hail["refused"]) {
    const policy::Procedure* procedure = policy::find_procedure(name.get<std::string>());
    REQUIRE(procedure != nullptr);
    CHECK_FALSE(grant->may(*procedure));
  }
  CHECK(said["targets"][2]["sees"] == false);
  CHECK_THAT(said["targets"][2]["reason"].get<std::string>(), Contains("no rule lets"));
}

TEST_CASE("without rules everybody reads everything, or nobody anything", "[proxy][policy]") {
  const Scene open(policy::Rules{});
  CHECK_THAT(proxy::rights_text(open.access, anna(), open.targets),
             Contains("hail, sleet, fog: everything that reads, by default, as there are "
                      "no rules\n  passwords are left out"));
  CHECK_THAT(proxy::matrix_text(open.access, people({}), open.targets),
             Contains("everybody  hail, sleet, fog  -   everything that reads\n") &&
                 Contains("\nno rules\n"));
  policy::Rules closed;
  closed.otherwise = policy::NoRule::deny;
  const Scene shut(closed);
  CHECK_THAT(proxy::rights_text(shut.access, anna(), shut.targets),
             Contains("hail, sleet, fog: nothing, because there are no rules"));
}

TEST_CASE("the matrix has who is named and who is not", "[proxy][policy]") {
  const Scene scene(some_rules());
  const auto who = people(scene.access.rules());
  REQUIRE(who.size() == 3);
  const std::string text = proxy::matrix_text(scene.access, who, scene.targets);
  CHECK_THAT(text, Contains("WHO "));
  // Anna is in the group, by which rule 2 lets her see what rule 1 does not.
  CHECK_THAT(text, Contains("user anna (uid 1001)     hail, sleet       rule 1  "));
  CHECK_THAT(text, Contains("user anna (uid 1001)     fog               rule 2  "));
  CHECK_THAT(text, Contains("group helpdesk (gid 27)  hail, sleet, fog  rule 2  "));
  CHECK_THAT(text, Contains("anybody else             hail, sleet, fog  -       nothing\n"));
  CHECK_THAT(text, Contains("\nrule 2 (f line 9)\n  targets \"*\"\n  allow \"CONNECT_*\"\n"));
  const Json json = Json::parse(proxy::matrix_json(scene.access, who, scene.targets));
  REQUIRE(json.size() == 3);
  CHECK(json[1]["kind"] == "group");
  CHECK(json[2]["id"].is_null());
  CHECK(json[2]["targets"][0]["sees"] == false);
}

TEST_CASE("a name that is nobody's has no line in the matrix", "[proxy][policy]") {
  policy::Rules rules = some_rules();
  rules.rules.front().users = {policy::kUnknown, kAnna};
  const std::vector<Person> some = people(rules);
  REQUIRE(some.size() == 3);
  CHECK(some[0].id == kAnna);
  rules.rules = {rule({policy::kUnknown}, {}, {"*"}, {"*"}, {})};
  const std::vector<Person> rest = people(rules);
  REQUIRE(rest.size() == 1);
  CHECK(rest[0].name == "everybody");
  const Scene scene(rules);
  const std::string text = proxy::matrix_text(scene.access, rest, scene.targets);
  CHECK_THAT(text, !Contains("4294967295") && Contains("nothing"));
}

TEST_CASE("nobody whom a rule names is taken for a stranger", "[proxy][policy]") {
  policy::Rules rules;
  rules.rules.push_back(rule({policy::kUnknown - 1}, {policy::kUnknown - 2}, {"*"}, {"*"}, {}));
  const Scene scene(rules);
  const auto who = people(rules);
  REQUIRE(who.size() == 3);
  CHECK_FALSE(scene.access.grant(who.back().who.identity(), "hail").ok());
  CHECK(scene.access.grant(who[1].who.identity(), "hail").ok());
}

TEST_CASE("a review says that clients may name URIs", "[proxy][policy]") {
  const auto both = [](const policy::Rules& rules) {
    const Scene scene(rules);
    return proxy::rights_text(scene.access, anna(), scene.targets) +
           proxy::matrix_text(scene.access, people(rules), scene.targets);
  };
  policy::Rules rules = some_rules();
  CHECK(both(rules).find("open_uris") == std::string::npos);
  rules.open_uris.push_back({{"qemu+ssh", "", "*.example.com", "", "/system"}, false});
  CHECK_THAT(both(rules), Contains("\nof URIs that open_uris lets clients name, ") &&
                              Contains("\nURIs that are no targets: what open_uris lets pass"));
}

TEST_CASE("foreign text in a review is escaped", "[proxy][policy]") {
  policy::Rules rules = some_rules();
  rules.rules[0].deny = {"X\x1b[2J*"};
  const Scene scene(rules);
  const std::string text = proxy::matrix_text(scene.access, people(rules), scene.targets);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(text, Contains("X\\x1b[2J*"));
}
