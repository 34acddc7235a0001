// The first rule that matches user and target decides what a user may call, and patterns of open
// URIs are held against the parts of a URI.
#include <string>
#include <vector>

#include "policy/access.h"
#include "tests/unit/support/catch.h"

using policy::Access;
using policy::AccessRule;
using policy::find_procedure;
using policy::Grant;
using policy::Identity;
using policy::Remote;
using policy::Rules;

namespace {

using Ids = std::vector<std::uint32_t>;

AccessRule rule(Ids users, Ids groups, std::vector<std::string> targets = {"*"},
                std::vector<std::string> allow = {"*"}, std::vector<std::string> deny = {}) {
  return {std::move(users),
          std::move(groups),
          std::move(targets),
          {},
          std::move(allow),
          std::move(deny),
          {},
          "f line 7"};
}

bool may(const Grant& grant, Remote procedure) { return grant.may(find_procedure(procedure)); }

}  // namespace

TEST_CASE("without rules everybody may read everything", "[policy][access]") {
  const Access access{Rules{}};
  const auto grant = access.grant({1000, 1000, {}}, "hail");
  REQUIRE(grant);
  CHECK(grant->rule() == nullptr);
  CHECK(may(*grant, Remote::DOMAIN_GET_XML_DESC));
  CHECK(access.grant({policy::kNobody, 1000, {}}, "hail").ok());
}

TEST_CASE("rules are for users, groups, or everybody", "[policy][access]") {
  const Ids groups{7, 8};
  const auto sees = [&](const AccessRule& one, const Identity& who) {
    return Access{Rules{{}, {one}}}.grant(who, "hail").ok();
  };
  CHECK(sees(rule({1000}, {}), {1000, 5, groups}));
  CHECK_FALSE(sees(rule({1001}, {}), {1000, 5, groups}));
  CHECK_FALSE(sees(rule({5}, {}), {1000, 5, groups}));
  CHECK(sees(rule({}, {5}), {1000, 5, groups}));
  CHECK(sees(rule({}, {8}), {1000, 5, groups}));
  CHECK_FALSE(sees(rule({}, {9}), {1000, 5, groups}));
  CHECK(sees(rule({1}, {8}), {1000, 5, groups}));
  CHECK(sees(rule({}, {}), {1000, 5, groups}));
  CHECK_FALSE(sees(rule({}, {}), {policy::kNobody, 5, groups}));
  CHECK_FALSE(sees(rule({}, {8}), {policy::kNobody, 5, groups}));
  CHECK(sees(rule({policy::kNobody}, {}), {policy::kNobody, 5, groups}));
  CHECK(
      Access{Rules{{}, {rule({}, {})}}}.grant({policy::kNobody, 5, {}}, "hail").error() ==
      "user 65534 may not see target 'hail': no rule lets them; a rule must name this user itself; "
      "one for everybody, or for a group, does not count");
  const Access unknown{Rules{{}, {rule({}, {}), rule({policy::kUnknown}, {})}}};
  CHECK(
      unknown.grant({policy::kUnknown, 5, groups}, "hail").error().starts_with("the kernel does "));
}

TEST_CASE("the first rule that matches user and target decides", "[policy][access]") {
  const Access access{Rules{{},
                            {rule({1000}, {}, {"hail"}, {"DOMAIN_GET_*"}, {"DOMAIN_GET_XML_DESC"}),
                             rule({1000}, {}, {"ha*"}, {"*"}), rule({}, {}, {"sleet"}, {})}}};
  const Identity who{1000, 1000, {}};
  const auto hail = access.grant(who, "hail");
  REQUIRE(hail);
  CHECK(hail->because() == "rule 1 (f line 7)");
  CHECK(may(*hail, Remote::DOMAIN_GET_INFO));
  CHECK_FALSE(may(*hail, Remote::DOMAIN_GET_XML_DESC));
  CHECK_FALSE(may(*hail, Remote::NODE_GET_INFO));
  const auto haze = access.grant(who, "haze");
  REQUIRE(haze);
  CHECK(haze->because() == "rule 2 (f line 7)");
  CHECK(may(*haze, Remote::DOMAIN_GET_XML_DESC));
  const auto sleet = access.grant(who, "sleet");
  REQUIRE(sleet);
  CHECK_FALSE(may(*sleet, Remote::DOMAIN_GET_INFO));
  CHECK(access.grant(who, "a\nb").error() ==
        "user 1000 may not see target 'a\nb': no rule lets them");
}

TEST_CASE("what makes up a connection is not forbidden by rules, and events are",
          "[policy][access]") {
  const Access access{Rules{{}, {rule({}, {}, {"*"}, {})}}};
  const auto grant = access.grant({1, 1, {}}, "hail");
  REQUIRE(grant);
  for (const Remote procedure :
       {Remote::AUTH_LIST, Remote::CONNECT_OPEN, Remote::CONNECT_CLOSE,
        Remote::CONNECT_SUPPORTS_FEATURE, Remote::CONNECT_REGISTER_CLOSE_CALLBACK,
        Remote::CONNECT_DOMAIN_EVENT_DEREGISTER,
        Remote::CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY}) {
    CAPTURE(static_cast<int>(procedure));
    CHECK(may(*grant, procedure));
  }
  for (const Remote procedure :
       {Remote::CONNECT_DOMAIN_EVENT_REGISTER, Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
        Remote::CONNECT_GET_LIB_VERSION}) {
    CAPTURE(static_cast<int>(procedure));
    CHECK_FALSE(may(*grant, procedure));
  }
}

TEST_CASE("what all rules pretend, a rule pretends if it allows it", "[policy][access]") {
  const auto pretends = [](std::vector<std::string> allow, std::vector<std::string> deny,
                           std::optional<std::vector<std::string>> own) {
    Rules rules{{}, {rule({}, {}, {"hail"}, std::move(allow), std::move(deny))}};
    rules.rules[0].pretend = std::move(own);
    rules.pretend = {"STORAGE_POOL_REFRESH"};
    const Access access{std::move(rules)};
    const auto grant = access.grant({1, 1, {}}, "hail");
    REQUIRE(grant);
    return grant->pretends(policy::find_procedure(Remote::STORAGE_POOL_REFRESH));
  };
  const std::vector<std::string> refresh = {"STORAGE_POOL_REFRESH"};
  CHECK(pretends({"*"}, {}, {}));
  CHECK(pretends({"STORAGE_POOL_*"}, {"STORAGE_POOL_GET_*"}, {}));
  CHECK_FALSE(pretends({"DOMAIN_GET_*"}, {}, {}));
  CHECK_FALSE(pretends({}, {}, {}));
  CHECK_FALSE(pretends({"*"}, {"STORAGE_*"}, {}));
  CHECK_FALSE(pretends({"*"}, {}, {{}}));
  CHECK(pretends({"DOMAIN_GET_*"}, {}, refresh));
  CHECK_FALSE(pretends({"DOMAIN_GET_*"}, {"STORAGE_*"}, refresh));
}

TEST_CASE("a pattern names procedures that a rule can allow", "[policy][access]") {
  CHECK(policy::names_some_procedure("*"));
  CHECK(policy::names_some_procedure("DOMAIN_GET_XML_DESC"));
  CHECK(policy::names_some_procedure("CONNECT_DOMAIN_EVENT_*"));
  CHECK_FALSE(policy::names_some_procedure("DOMAIN_DESTROY"));
  CHECK_FALSE(policy::names_some_procedure("CONNECT_OPEN"));
  CHECK_FALSE(policy::names_some_procedure("DOMAIN_GET_XML_DESK"));
}

TEST_CASE("patterns of URIs are held against the parts, never the text", "[policy][access]") {
  const policy::UriPattern pattern{"qemu+ssh", "monitor", "*.example.com", "", "/*"};
  const Access access{Rules{{{pattern, true}, {{"*+tls", "", "[", "*", "/system"}, false}}, {}}};
  const policy::UriParts good{"qemu+ssh", "monitor", "a.example.com", 22, true, "/system"};
  const auto opens = [&](auto policy::UriParts::*part, auto value) {
    policy::UriParts parts = good;
    parts.*part = value;
    return access.opens(parts);
  };
  REQUIRE(access.opens(good) != nullptr);
  CHECK(access.opens(good)->local_addresses);
  CHECK(opens(&policy::UriParts::scheme, "qemu+tls") == nullptr);
  CHECK(opens(&policy::UriParts::scheme, "xqemu+ssh") == nullptr);
  CHECK(opens(&policy::UriParts::user, "") == nullptr);
  CHECK(opens(&policy::UriParts::user, "root") == nullptr);
  CHECK(opens(&policy::UriParts::host, "example.com") == nullptr);
  CHECK(opens(&policy::UriParts::host, "evil.org") == nullptr);
  // Where the text would match, with the pattern's end found in the path.
  CHECK(access.opens({"qemu+ssh", "monitor", "evil.org", 22, true, "/.example.com/system"}) ==
        nullptr);
  CHECK(opens(&policy::UriParts::usual_port, false) == nullptr);
  CHECK(opens(&policy::UriParts::path, "/session") != nullptr);
  const policy::UriParts tls{"qemu+tls", "", "[", 5, false, "/system"};
  REQUIRE(access.opens(tls) != nullptr);
  CHECK_FALSE(access.opens(tls)->local_addresses);
}

TEST_CASE("rules name open URIs by patterns of their own, or all targets", "[policy][access]") {
  const policy::UriParts uri{"qemu+ssh", "", "a.example.com", 22, true, "/system"};
  const policy::Seen seen("qemu+ssh://a.example.com/system", &uri);
  const auto sees = [&](std::vector<std::string> targets, std::vector<policy::UriPattern> uris) {
    AccessRule one = rule({1000}, {}, std::move(targets));
    one.uris = std::move(uris);
    return Access{Rules{{}, {one}}}.grant({1000, 5, {}}, seen).ok();
  };
  CHECK(sees({"*"}, {}));
  CHECK_FALSE(sees({"qemu*"}, {}));
  CHECK_FALSE(sees({"hail", "**"}, {}));
  CHECK(sees({}, {{"qemu+*", "", "*", "", "/system"}}));
  CHECK_FALSE(sees({}, {{"qemu+*", "*", "a", "", "/system"}}));
}
