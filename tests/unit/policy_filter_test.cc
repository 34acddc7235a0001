// Every denied procedure is refused by its name and with a reason, and nothing but a call of a
// known program and version is forwarded.
#include <string>
#include <string_view>

#include "policy/filter.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"
#include "tests/unit/support/policy_hex.h"

using policy::Decision;
using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Header;
using policy::Remote;
using policy::Rule;
using policy::Type;
using policy::Verdict;

namespace {

Verdict judge(const Header& header, base::Bytes body = {}) {
  base::Buffer encoded;
  Verdict verdict = policy::judge(header, body, encoded);
  if (verdict.decision != Decision::forward && verdict.decision != Decision::answer) {
    CHECK(encoded.empty());
  }
  return verdict;
}

Header call(std::int32_t procedure) { return {.procedure = procedure, .serial = 1}; }
Header call(Remote procedure) { return call(policy::number(procedure)); }

void check_refused(const Verdict& verdict, ErrorCode code, std::string_view text) {
  CHECK(verdict.decision == Decision::refuse);
  CHECK(verdict.fault.code == code);
  CHECK(verdict.fault.text == text);
}

}  // namespace

TEST_CASE("every denied procedure is refused by name and with a reason", "[policy][filter]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule != Rule::deny) continue;
    const Verdict verdict = judge(test::call_of(*row), test::hex("ffffffff"));
    check_refused(
        verdict, ErrorCode::operation_denied,
        "virtgate is read-only: " + std::string(row->name) + " " + std::string(row->note));
    CHECK(verdict.fault.domain == row->domain);
    CHECK(verdict.procedure == row);
  }
}

TEST_CASE("the words of a refusal", "[policy][filter]") {
  check_refused(judge(call(Remote::DOMAIN_DESTROY)), ErrorCode::operation_denied,
                "virtgate is read-only: DOMAIN_DESTROY stops the domain");
  check_refused(
      judge(call(Remote::CONNECT_SET_IDENTITY)), ErrorCode::operation_denied,
      "virtgate is read-only: CONNECT_SET_IDENTITY would let the caller claim another identity");
}

TEST_CASE("events and numbers that are no procedure are unknown", "[policy][filter]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule != Rule::event) continue;
    check_refused(judge(test::call_of(*row)), ErrorCode::rpc,
                  "unknown procedure: " + std::to_string(row->number));
  }
  for (const std::int32_t number : {0, -1, 454, 1000000, INT32_MAX, INT32_MIN}) {
    const Verdict verdict = judge(call(number));
    check_refused(verdict, ErrorCode::rpc, "unknown procedure: " + std::to_string(number));
    CHECK(verdict.fault.domain == ErrorDomain::rpc);
    CHECK(verdict.procedure == nullptr);
  }
}

TEST_CASE("programs and versions that are not known are refused", "[policy][filter]") {
  struct Case {
    std::uint32_t program;
    std::uint32_t version;
  };
  const auto [program, version] =
      GENERATE(Case{0x20008088, 1}, Case{0x06900690, 1}, Case{0x87539319, 1}, Case{0x0ea7beef, 1},
               Case{0, 1}, Case{0xffffffff, 1}, Case{policy::kKeepaliveProgram, 1},
               Case{policy::kRemoteProgram, 0}, Case{policy::kRemoteProgram, 2},
               Case{policy::kQemuProgram, 0xffffffff}, Case{policy::kLxcProgram, 3});
  for (std::int32_t procedure = 0; procedure < 460; ++procedure) {
    Header header = call(procedure);
    header.program = program;
    header.version = version;
    check_refused(
        judge(header), ErrorCode::rpc,
        "Cannot find program " + std::to_string(program) + " version " + std::to_string(version));
  }
}

TEST_CASE("a call with a status is refused", "[policy][filter]") {
  for (const std::uint32_t status : {1U, 2U, 3U, 0xffffffffU}) {
    Header header = call(Remote::CONNECT_NUM_OF_DOMAINS);
    header.status = status;
    check_refused(judge(header), ErrorCode::rpc,
                  "Unexpected message status " + std::to_string(status));
  }
}

TEST_CASE("what is no call is never forwarded", "[policy][filter]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    const base::Buffer body = test::body_of(*row).bytes;
    for (const std::uint32_t type : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 99U, 0xffffffffU}) {
      for (const std::uint32_t status : {0U, 1U, 2U}) {
        Header header = test::call_of(*row);
        header.type = type;
        header.status = status;
        const Verdict verdict = judge(header, body);
        Decision expected = Decision::ignore;
        if (type == 4) expected = Decision::end;
        if (type == 3 || type == 6) expected = Decision::refuse;
        REQUIRE(verdict.decision == expected);
        REQUIRE(verdict.fault.text.empty() == (expected == Decision::ignore));
      }
    }
  }
}

TEST_CASE("file descriptors end the connection, with a reason", "[policy][filter]") {
  Header header = call(Remote::CONNECT_NUM_OF_DOMAINS);
  header.type = static_cast<std::uint32_t>(Type::call_with_fds);
  for (const char* count : {"00000000", "00000001", "00000021", ""}) {
    const Verdict verdict = judge(header, test::hex(count));
    CHECK(verdict.decision == Decision::end);
    CHECK(verdict.fault.code == ErrorCode::operation_denied);
    CHECK(verdict.fault.text == "virtgate is read-only: it takes no file descriptors");
  }
}

TEST_CASE("keepalive", "[policy][filter]") {
  const auto decision = [](std::int32_t procedure, Type type, std::uint32_t version) {
    return judge({.program = policy::kKeepaliveProgram,
                  .version = version,
                  .procedure = procedure,
                  .type = static_cast<std::uint32_t>(type),
                  .serial = 77})
        .decision;
  };
  CHECK(decision(1, Type::message, 1) == Decision::ping);
  CHECK(decision(2, Type::message, 1) == Decision::ignore);
  CHECK(decision(9, Type::message, 1) == Decision::ignore);
  CHECK(decision(1, Type::message, 2) == Decision::ignore);
  CHECK(decision(1, Type::reply, 1) == Decision::ignore);
  CHECK(decision(1, Type::call, 1) == Decision::refuse);
}

TEST_CASE("what a client names when it opens is never sent on", "[policy][filter]") {
  const policy::Procedure& open = policy::find_procedure(Remote::CONNECT_OPEN);
  const std::string name =
      GENERATE(as<std::string>{}, "", "qemu:///system", "test:///default",
               "qemu+ext:///system?command=/bin/sh", "xen", "esx://host/", std::string(4096, 'a'),
               std::string(4097, 'a'), std::string(100000, 'a'),
               std::string("qemu:///system\0test:///default", 30), "\xff\xfe", "../../etc/passwd");
  for (const char* discriminator : {"00000000", "00000001", "01000000", "00000002", "ffffffff"}) {
    for (const char* flags : {"00000000", "00000001", "00000007", "ffffffff"}) {
      base::Buffer body = test::hex(discriminator);
      const bool present = std::string_view(discriminator) != "00000000";
      if (present) policy::XdrWriter(body).string(name);
      base::append(body, test::hex(flags));
      for (std::size_t size = 0; size <= body.size(); size += size < 64 ? 1 : 997) {
        REQUIRE(judge(call(Remote::CONNECT_OPEN), base::Bytes(body).first(size)).decision !=
                Decision::forward);
      }
      base::Buffer encoded;
      const Verdict verdict = policy::judge(call(Remote::CONNECT_OPEN), body, encoded);
      REQUIRE(verdict.procedure == &open);
      const bool good = !present || (name.size() <= 4096 && name.find('\0') == std::string::npos);
      REQUIRE(verdict.decision == (good ? Decision::answer : Decision::refuse));
      if (!good) continue;
      REQUIRE(verdict.arguments[0].present == present);
      REQUIRE(verdict.arguments[0].text == (present ? name : ""));
      REQUIRE(verdict.arguments[1].number == policy::load_word(&body[body.size() - 4]));
    }
  }
}

TEST_CASE("CONNECT_OPEN as virsh and as go-libvirt send it", "[policy][filter]") {
  const base::Buffer virsh =
      test::hex("00000001 0000000f 746573743a2f2f2f64656661756c74 00 00000001");
  const base::Buffer go = test::hex("01000000 0000000f 746573743a2f2f2f64656661756c74 ff 00000000");
  base::Buffer encoded;
  const Verdict from_virsh = policy::judge(call(Remote::CONNECT_OPEN), virsh, encoded);
  CHECK(from_virsh.decision == Decision::answer);
  CHECK(from_virsh.arguments[0].text == "test:///default");
  CHECK(from_virsh.arguments[1].number == 1);
  encoded.clear();
  const Verdict from_go = policy::judge(call(Remote::CONNECT_OPEN), go, encoded);
  CHECK(from_go.decision == Decision::answer);
  CHECK(from_go.arguments[0].text == "test:///default");
  CHECK(encoded == test::hex("00000001 0000000f 746573743a2f2f2f64656661756c74 00 00000000"));
}

TEST_CASE("what a malformed call lacks is said", "[policy][filter]") {
  check_refused(judge(call(Remote::DOMAIN_LOOKUP_BY_NAME)), ErrorCode::rpc,
                "malformed call of DOMAIN_LOOKUP_BY_NAME: the message ends inside name");
  check_refused(
      judge(call(Remote::CONNECT_NUM_OF_DOMAINS), test::hex("00000000")), ErrorCode::rpc,
      "malformed call of CONNECT_NUM_OF_DOMAINS: 4 bytes are left over after the last argument");
  check_refused(judge(call(Remote::DOMAIN_LOOKUP_BY_NAME), test::hex("00000002 61000000")),
                ErrorCode::rpc,
                "malformed call of DOMAIN_LOOKUP_BY_NAME: a string in name has a NUL inside");
}
