// A stranger is told the failed stage and a reference and the log has the details, and a hidden
// target is refused like one that does not exist.
#include <unistd.h>

#include "policy/procedures.h"
#include "proxy/record/references.h"
#include "proxy/visitor/told.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"
#include "tests/unit/support/tls_world.h"
#include "tests/unit/support/world.h"

using Catch::Contains;
using Catch::EndsWith;
using test::RawClient;
using test::World;

namespace {

std::string refusal(World& world, const std::string& name, uid_t uid = 1000) {
  RawClient& client = world.client(uid);
  const auto open = client.open(name);
  world.pass(std::chrono::seconds(40));
  REQUIRE_FALSE(client.ok(open));
  const policy::RemoteError error = client.error(open);
  CHECK(error.code != 45);
  return error.text;
}

// Its text less the six digits.
std::string without_reference(const std::string& text) {
  const std::string before = "; ask your administrator (reference ";
  const std::size_t at = text.find(before);
  REQUIRE(at != std::string::npos);
  REQUIRE(text.size() == at + before.size() + 7);
  return text.substr(0, at);
}

std::string reference_in(const std::string& text) { return text.substr(text.size() - 7, 6); }

}  // namespace

TEST_CASE("a stranger is told the stage, and the log has the rest", "[proxy][told]") {
  World world;
  world.config.targets[0].retry_timeout = std::chrono::seconds(1);
  world.daemon().open_error = "Failed to connect socket to '/run/secret/libvirt-sock'";
  world.strangers = true;
  const std::string told = refusal(world, "hail");
  CHECK(without_reference(told) ==
        "target 'hail' cannot be reached: its libvirt daemon did not open the connection");
  CHECK(world.log.count("reference=" + reference_in(told)) > 0);
  CHECK(world.log.count("/run/secret/libvirt-sock") > 0);
  const auto references = world.gate().snapshot().references;
  REQUIRE(references.size() == 1);
  CHECK(references[0].reference == reference_in(told));
  CHECK(references[0].uid == 1000);
  CHECK_THAT(references[0].text, Contains("/run/secret/libvirt-sock"));
  // The same again is the same.
  CHECK(refusal(world, "hail") == told);
  world.strangers = false;
  CHECK_THAT(refusal(world, "hail"), Contains("/run/secret/libvirt-sock"));
  world.strangers = true;
  CHECK_THAT(refusal(world, "hail", 0), Contains("/run/secret/libvirt-sock"));
}

TEST_CASE("a target that is hidden is refused as one that is not there", "[proxy][told]") {
  World world({"hail", "sleet"});
  world.strangers = true;
  policy::AccessRule rule;
  rule.users = {1001};
  rule.targets = rule.allow = {"*"};
  rule.place = "/etc/virtgate/virtgate.toml line 39";
  world.config.rules.rules = {rule};
  std::string hidden = without_reference(refusal(world, "hail"));
  std::string missing = without_reference(refusal(world, "nada"));
  REQUIRE(hidden.find("hail") != std::string::npos);
  hidden.replace(hidden.find("hail"), 4, "nada");
  CHECK(hidden == missing);
  CHECK(missing == "there is no target \"nada\"; there are no targets");
  CHECK(world.log.count("user 1000 may not see target 'hail': no rule lets them") > 0);
}

TEST_CASE("references tell a hidden target from a missing one no more than texts",
          "[proxy][told]") {
  World world({"hail", "sleet"});
  world.strangers = true;
  policy::AccessRule rule;
  rule.users = {1001};
  rule.targets = rule.allow = {"*"};
  world.config.rules.rules = {rule};
  // Whether name and URI, and the same again, get the same reference.
  const auto asked = [&world](const std::string& name) {
    const std::string uri = "test+unix:///" + name + "?socket=/run/" + name;
    const std::string by_name = refusal(world, name);
    const std::string by_uri = refusal(world, uri);
    return std::vector<bool>{reference_in(by_name) == reference_in(by_uri),
                             refusal(world, name) == by_name, refusal(world, uri) == by_uri};
  };
  const std::vector<bool> hidden = asked("hail");
  CHECK(hidden == asked("nada"));
  CHECK(hidden == std::vector<bool>{false, true, true});
  CHECK(world.log.count("user 1000 may not see target 'hail': no rule lets them") >= 4);
}

TEST_CASE("a reference has the latest text, and another for each failure that is told of",
          "[proxy][told]") {
  using std::chrono::milliseconds;
  proxy::References references;
  const std::string first = references.refer(1, "a", "one", milliseconds(1));
  CHECK(references.refer(1, "a", "two", milliseconds(2)) == first);
  CHECK(references.refer(1, "b", "two", milliseconds(3)) != first);
  CHECK(references.refer(2, "a", "one", milliseconds(4)) != first);
  CHECK(references.entries().back().text == "two");
}

TEST_CASE("a gate's own certificates that cannot be used are not the host's fault",
          "[proxy][told]") {
  using tunnel::io::Reason;
  using tunnel::io::Stage;
  const test::TemporaryFolder folder;
  const auto said = [&folder] {
    const auto read =
        test::read_credentials({folder.path() + "/ca.pem", folder.path() + "/crl.pem",
                                folder.path() + "/cert.pem", folder.path() + "/key.pem"},
                               ::geteuid());
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().text, Contains(folder.path()));
    return proxy::plain_failure("hail", read.error());
  };
  const std::string own =
      "target 'hail' cannot be reached: the gate's own certificates cannot be used";
  CHECK(said() == own);
  folder.write("ca.pem", "no certificate");
  CHECK(said() == own);
  CHECK(proxy::plain_failure("hail", {Reason::Kind::refused, Stage::handshake, "another"}) ==
        "target 'hail' cannot be reached: its host key or certificate was not accepted");
}

TEST_CASE("a rule is not shown to whom it refuses", "[proxy][told]") {
  World world;
  world.strangers = true;
  policy::AccessRule rule;
  rule.users = {1000};
  rule.targets = rule.allow = {"*"};
  rule.deny = {"NODE_GET_INFO"};
  rule.limits.clients = 1;
  rule.place = "/etc/virtgate/virtgate.toml line 39";
  world.config.rules.rules = {rule};
  RawClient& client = world.opened("hail");
  const auto call = client.call(policy::number(policy::Remote::NODE_GET_INFO));
  world.settle();
  CHECK_THAT(without_reference(client.error(call).text),
             EndsWith("you may not call NODE_GET_INFO of target 'hail'"));
  CHECK_THAT(without_reference(refusal(world, "hail")),
             EndsWith("you already have the maximum of 1 connections"));
  CHECK(world.log.count("/etc/virtgate/virtgate.toml line 39") >= 2);
}

TEST_CASE("who is turned away hears why", "[proxy][told]") {
  World world;
  auto [ours, theirs] = test::MemoryStream::pair(world.clock);
  RawClient client(std::move(ours));
  client.start();
  tunnel::io::Peer peer;
  peer.uid = 1000;
  world.gate().turn_away(std::move(theirs), peer,
                         {policy::ErrorCode::no_connect, policy::ErrorDomain::rpc,
                          "f:3: no targets", true, "the gate is not configured"});
  const auto list = client.call(policy::number(policy::Remote::AUTH_LIST));
  world.pass(std::chrono::seconds(10));
  CHECK(without_reference(client.error(list).text) == "the gate is not configured");
  CHECK(client.closed());
}

TEST_CASE("no user pushes out what others were told", "[proxy][told]") {
  using std::chrono::milliseconds;
  proxy::References references;
  const std::string first = references.refer(1, "a", "a", milliseconds(1));
  for (int i = 0; i < 1000; ++i) references.refer(2, std::to_string(i), "t", milliseconds(2));
  CHECK(references.entries().size() == proxy::References::kMostOfUser + 1);
  CHECK(references.refer(1, "a", "a", milliseconds(3)) == first);
  CHECK(references.entries().front().times == 2);
  for (uid_t uid = 10; uid < 1000; ++uid) references.refer(uid, "b", "b", milliseconds(4));
  CHECK(references.entries().size() == proxy::References::kMost);
}
