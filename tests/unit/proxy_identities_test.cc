// A subordinate uid has the limits and rules of its owner, and no rule lets in a user whom the
// kernel cannot tell from others.
#include "proxy/visitor/identities.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using proxy::Identities;
using test::RawClient;
using test::World;

namespace {

std::optional<uid_t> find_user(const std::string& name) {
  if (name == "anna") return 1000;
  if (name == "bert") return 1001;
  if (name == "root") return 0;
  return std::nullopt;
}

constexpr const char* kSubuid =
    "anna:100000:65536\n"
    "bert:165536:65536\n"
    "root:1000000:1000000000\n"
    "gone:300000:10\n"
    "anna:4294967290:65536\n"
    "bert:100010:5\n"
    "nonsense\nanna:x:5\nanna:5:0\nanna:-1:5\n\n:::\n";

}  // namespace

TEST_CASE("a subordinate uid is its owner's", "[proxy][identities]") {
  Identities identities;
  identities.lend(kSubuid, find_user);
  CHECK(identities.owner(1000) == 1000);
  CHECK(identities.owner(99999) == 99999);
  CHECK(identities.owner(100000) == 1000);
  CHECK(identities.owner(165535) == 1000);
  CHECK(identities.owner(165536) == 1001);
  CHECK(identities.owner(231071) == 1001);
  CHECK(identities.owner(231072) == 231072);
  CHECK(identities.owner(300009) == 300000);
  CHECK(identities.owner(4294967294) == 1000);
  // What containers of the system run as is not root.
  CHECK(identities.owner(1000005) == 1000005);
  CHECK(identities.owner(0) == 0);
  tunnel::io::Peer peer;
  peer.uid = 100007;
  identities.apply(peer);
  CHECK(peer.uid == 1000);
  CHECK(peer.subordinate == uid_t{100007});
}

TEST_CASE("whom our user namespace does not map is nobody, and not the user nobody",
          "[proxy][identities]") {
  tunnel::io::Peer peer;
  peer.uid = peer.gid = 65534;
  peer.groups = {65534, 5};
  Identities whole;
  whole.map("         0          0 4294967295\n", "0 0 4294967295\n", 65534, 65534);
  CHECK_FALSE(whole.blurred());
  whole.apply(peer);
  CHECK(peer.uid == 65534);
  Identities one;
  one.map("0 1000 1\n", "0 1000 1\n", 65534, 65534);
  CHECK(one.blurred());
  one.apply(peer);
  CHECK(peer.uid == policy::kUnknown);
  CHECK(peer.gid == static_cast<gid_t>(-1));
  CHECK(peer.groups == std::vector<gid_t>{5});
  tunnel::io::Peer mapped;
  mapped.uid = 0;
  one.apply(mapped);
  CHECK(mapped.uid == 0);
  CHECK_FALSE(mapped.subordinate);
  Identities parts;
  parts.map("0 0 1000\n1000 1000 4294966295\n", "0 0 4294967295\n", 65534, 65534);
  CHECK_FALSE(parts.blurred());
}

TEST_CASE("a user's limits and rules hold for the uids that are lent to it",
          "[proxy][identities]") {
  World world;
  policy::AccessRule rule;
  rule.users = {1000};
  rule.targets = rule.allow = {"*"};
  rule.limits.clients = 2;
  world.config.rules.rules = {rule};
  Identities identities;
  identities.lend(kSubuid, find_user);
  world.gate().identify_by(identities);
  world.opened("hail", 100001);
  world.opened("hail", 100002);
  RawClient& third = world.client(1000);
  const auto open = third.open("hail");
  world.settle();
  CHECK(third.error(open).text.find("user 1000 already has the maximum of") != std::string::npos);
  CHECK(world.log.count("uid=1000 pid=4711 subuid=100002") > 0);
  REQUIRE(world.gate().snapshot().users.size() == 1);
  CHECK(world.gate().snapshot().users[0].clients == 3);
}

TEST_CASE("no rule lets in whom the kernel cannot tell from others", "[proxy][identities]") {
  World world;
  policy::AccessRule named;
  named.users = {65534, policy::kUnknown};
  named.targets = named.allow = {"*"};
  policy::AccessRule all;
  all.targets = all.allow = {"*"};
  world.config.rules.rules = {named, all};
  Identities identities;
  identities.map("0 1000 1\n", "0 1000 1\n", 65534, 65534);
  world.gate().identify_by(identities);
  RawClient& client = world.client(65534);
  const auto open = client.open("hail");
  world.settle();
  CHECK(client.error(open).text.starts_with("the kernel does not say here who this user is"));
}
