// The table has one row for each procedure of libvirt's three programs, under libvirt's name, and
// denies those that change, reveal or act.
#include <map>
#include <set>
#include <string_view>

#include "policy/message.h"
#include "policy/procedures.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"

using policy::ErrorDomain;
using policy::find_procedure;
using policy::Remote;
using policy::Rule;

TEST_CASE("the table is dense and says how many of each there are", "[policy][table]") {
  std::map<Rule, int> count;
  std::int32_t number = 0;
  for (const policy::Procedure& row : policy::procedures_of(policy::kRemoteProgram)) {
    REQUIRE(row.number == ++number);
    REQUIRE(find_procedure(policy::kRemoteProgram, number) == &row);
    ++count[row.rule];
  }
  CHECK(number == 453);
  CHECK(count[Rule::pass] == 165);
  CHECK(count[Rule::check] == 8);
  CHECK(count[Rule::local] == 24);
  CHECK(count[Rule::deny] == 203);
  CHECK(count[Rule::event] == 53);
  CHECK(policy::procedures_of(policy::kQemuProgram).size() == 7);
  CHECK(policy::procedures_of(policy::kLxcProgram).size() == 1);
}

TEST_CASE("nothing of the other programs passes", "[policy][table]") {
  for (const std::uint32_t program : {policy::kQemuProgram, policy::kLxcProgram}) {
    for (const policy::Procedure& row : policy::procedures_of(program)) {
      CHECK((row.rule == Rule::deny || row.rule == Rule::event));
      CHECK(row.domain == ErrorDomain::none);
    }
  }
}

TEST_CASE("numbers out of the table have no row", "[policy][table]") {
  for (const std::int32_t number : {0, -1, 454, INT32_MAX, INT32_MIN}) {
    CHECK(find_procedure(policy::kRemoteProgram, number) == nullptr);
  }
  CHECK(find_procedure(policy::kQemuProgram, 8) == nullptr);
  CHECK(find_procedure(policy::kLxcProgram, 2) == nullptr);
  CHECK(find_procedure(policy::kKeepaliveProgram, 1) == nullptr);
  CHECK(find_procedure(0x06900690, 1) == nullptr);
  CHECK(policy::procedures_of(0x20008088).empty());
}

TEST_CASE("names are libvirt's, and each is there once", "[policy][table]") {
  std::set<std::string_view> names;
  for (const policy::Procedure* row : test::all_procedures()) {
    CHECK(names.insert(row->name).second);
    CHECK(find_procedure(row->name) == row);
  }
  CHECK(find_procedure("DOMAIN_EXPLODE") == nullptr);
  CHECK(find_procedure("") == nullptr);
  CHECK(static_cast<int>(Remote::CONNECT_OPEN) == 1);
  CHECK(static_cast<int>(Remote::DOMAIN_GET_XML_DESC) == 14);
  CHECK(static_cast<int>(Remote::AUTH_LIST) == 66);
  CHECK(static_cast<int>(Remote::CONNECT_GET_ALL_DOMAIN_STATS) == 344);
  CHECK(static_cast<int>(Remote::DOMAIN_EVENT_NIC_MAC_CHANGE) == 453);
  CHECK(find_procedure(Remote::DOMAIN_DESTROY).name == "DOMAIN_DESTROY");
}

TEST_CASE("what changes, reveals or acts is denied", "[policy][table]") {
  const Remote procedure = GENERATE(
      Remote::DOMAIN_DESTROY, Remote::DOMAIN_CREATE_XML, Remote::SECRET_GET_VALUE,
      Remote::DOMAIN_MEMORY_PEEK, Remote::DOMAIN_BLOCK_PEEK, Remote::CONNECT_SET_IDENTITY,
      Remote::DOMAIN_DEL_THROTTLE_GROUP, Remote::DOMAIN_OPEN_CONSOLE, Remote::DOMAIN_GET_TIME,
      Remote::CONNECT_GET_DOMAIN_CAPABILITIES, Remote::DOMAIN_SAVE_IMAGE_GET_XML_DESC,
      Remote::CONNECT_DOMAIN_XML_TO_NATIVE, Remote::DOMAIN_SET_SCHEDULER_PARAMETERS);
  CHECK(find_procedure(procedure).rule == Rule::deny);
}

TEST_CASE("a rule fits the procedure's name", "[policy][table]") {
  for (const policy::Procedure& row : policy::procedures_of(policy::kRemoteProgram)) {
    CAPTURE(row.name);
    for (const char* verb :
         {"_SET_", "_CREATE", "_DEFINE_XML", "_UNDEFINE", "_DESTROY", "_DELETE", "_ATTACH_",
          "_DETACH_", "MIGRATE_P", "_UPLOAD", "_DOWNLOAD", "_OPEN_", "_WIPE", "_RESIZE"}) {
      if (row.name.find(verb) != std::string_view::npos) CHECK(row.rule == Rule::deny);
    }
  }
}

TEST_CASE("refusals name the error domain of the object", "[policy][table]") {
  struct Case {
    Remote procedure;
    ErrorDomain domain;
  };
  const auto [procedure, domain] =
      GENERATE(Case{Remote::DOMAIN_DESTROY, ErrorDomain::remote},
               Case{Remote::CONNECT_SET_IDENTITY, ErrorDomain::remote},
               Case{Remote::NODE_ALLOC_PAGES, ErrorDomain::remote},
               Case{Remote::NETWORK_DESTROY, ErrorDomain::network},
               Case{Remote::NETWORK_PORT_DELETE, ErrorDomain::network},
               Case{Remote::STORAGE_POOL_DESTROY, ErrorDomain::storage},
               Case{Remote::STORAGE_VOL_DELETE, ErrorDomain::storage},
               Case{Remote::NODE_DEVICE_RESET, ErrorDomain::node_device},
               Case{Remote::INTERFACE_DESTROY, ErrorDomain::interface},
               Case{Remote::SECRET_GET_VALUE, ErrorDomain::secret},
               Case{Remote::NWFILTER_UNDEFINE, ErrorDomain::nwfilter},
               Case{Remote::NWFILTER_BINDING_DELETE, ErrorDomain::nwfilter},
               Case{Remote::DOMAIN_SNAPSHOT_DELETE, ErrorDomain::domain_snapshot},
               Case{Remote::DOMAIN_CHECKPOINT_DELETE, ErrorDomain::domain_checkpoint});
  CHECK(find_procedure(procedure).domain == domain);
}
