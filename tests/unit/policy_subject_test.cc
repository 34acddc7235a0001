// Every call that may be sent has a subject, and calls about one machine share it whatever name the
// machine is called by.
#include "policy/filter.h"
#include "policy/subject.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"

using policy::Remote;
using policy::Subject;
using policy::SubjectKind;

namespace {

Subject subject_of(Remote procedure, const base::Buffer& body) {
  const policy::Procedure& row = policy::find_procedure(procedure);
  base::Buffer encoded;
  const policy::Verdict verdict = policy::judge(test::call_of(row), body, encoded);
  REQUIRE(verdict.decision == policy::Decision::forward);
  return policy::subject_of(row, verdict.arguments);
}

void write_domain(policy::XdrWriter& writer, const std::string& name, std::uint8_t uuid) {
  writer.string(name);
  writer.fixed(base::Buffer(16, uuid));
  writer.number(uuid);
}

base::Buffer domain(const std::string& name, std::uint8_t uuid) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  write_domain(writer, name, uuid);
  return body;
}

base::Buffer snapshot(const std::string& name, const std::string& machine, std::uint8_t uuid) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.string(name);
  write_domain(writer, machine, uuid);
  writer.word(0);
  return body;
}

base::Buffer statistics(std::initializer_list<std::uint8_t> uuids) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.word(static_cast<std::uint32_t>(uuids.size()));
  for (const std::uint8_t uuid : uuids) write_domain(writer, "web", uuid);
  writer.word(0);
  writer.word(0);
  return body;
}

}  // namespace

TEST_CASE("a machine is its UUID, whatever it is called", "[policy][subject]") {
  const Subject info = subject_of(Remote::DOMAIN_GET_INFO, domain("web", 1));
  CHECK(info.kind == SubjectKind::machine);
  CHECK(info.key == std::string(16, '\x01'));
  CHECK(info.is(subject_of(Remote::DOMAIN_GET_OS_TYPE, domain("other", 1))));
  CHECK_FALSE(info.is(subject_of(Remote::DOMAIN_GET_INFO, domain("web", 2))));
  CHECK(info.is(subject_of(Remote::DOMAIN_LOOKUP_BY_UUID, base::Buffer(16, 1))));
  CHECK(info.is(subject_of(Remote::DOMAIN_SNAPSHOT_GET_XML_DESC, snapshot("first", "web", 1))));
  CHECK(policy::describe(info) == "machine 'web' (01010101-0101-0101-0101-010101010101)");
  CHECK(policy::describe(subject_of(Remote::DOMAIN_SNAPSHOT_GET_XML_DESC,
                                    snapshot("first", "web", 1))) == policy::describe(info));
}

TEST_CASE("statistics are about one machine or all of them", "[policy][subject]") {
  const Subject all = subject_of(Remote::CONNECT_GET_ALL_DOMAIN_STATS, statistics({}));
  CHECK(all.kind == SubjectKind::sweep);
  CHECK(policy::describe(all) == "CONNECT_GET_ALL_DOMAIN_STATS");
  CHECK(all.is(subject_of(Remote::CONNECT_GET_ALL_DOMAIN_STATS, statistics({1, 2}))));
  const Subject one = subject_of(Remote::CONNECT_GET_ALL_DOMAIN_STATS, statistics({1}));
  CHECK(one.is(subject_of(Remote::DOMAIN_GET_INFO, domain("web", 1))));
}

TEST_CASE("the host and what looks at every machine are told apart by procedure",
          "[policy][subject]") {
  const Subject version = subject_of(Remote::CONNECT_GET_LIB_VERSION, {});
  CHECK(version.kind == SubjectKind::host);
  CHECK(version.is(subject_of(Remote::CONNECT_GET_LIB_VERSION, {})));
  CHECK_FALSE(version.is(subject_of(Remote::CONNECT_GET_HOSTNAME, {})));
  base::Buffer list;
  policy::XdrWriter(list).word(1);
  policy::XdrWriter(list).word(0);
  CHECK(subject_of(Remote::CONNECT_LIST_ALL_DOMAINS, list).kind == SubjectKind::sweep);
}

TEST_CASE("foreign names are made printable", "[policy][subject]") {
  const Subject info = subject_of(Remote::DOMAIN_GET_INFO, domain("we\x1b[2Jb", 1));
  CHECK(policy::describe(info).find('\x1b') == std::string::npos);
}

TEST_CASE("every call that may be sent has a subject", "[policy][subject]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    const bool sent = row->rule == policy::Rule::pass || row->rule == policy::Rule::check;
    CAPTURE(row->name);
    CHECK(row->subject.sound);
    if (!sent) {
      CHECK(row->subject.kind <= SubjectKind::host);
      continue;
    }
    const Subject subject = subject_of(static_cast<Remote>(row->number), test::body_of(*row).bytes);
    CHECK(subject.kind != SubjectKind::none);
    CHECK_FALSE(subject.key.empty());
  }
}

TEST_CASE("what a row says of its subject is checked", "[policy][subject]") {
  const policy::Signature signature = policy::compile_signature("dom:domain flags:uint{0x1}");
  CHECK(policy::read_subject("machine(dom)", signature).sound);
  CHECK(policy::read_subject("machine(flags)", signature).argument == 1);
  for (const char* wrong : {"", "machine", "machine()", "machine(do)", "machine(domx)", "host(dom)",
                            "machines(dom)", "thing(dom)", "machine(dom"}) {
    CAPTURE(wrong);
    CHECK_FALSE(policy::read_subject(wrong, signature).sound);
  }
}
