// Arguments decode only when they are complete and within their bounds with nothing behind them,
// and what is sent on is encoded in one canonical form.
#include <string>
#include <string_view>

#include "policy/arguments.h"
#include "policy/filter.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"
#include "tests/unit/support/policy_hex.h"

using policy::Decision;
using policy::ErrorCode;
using policy::find_procedure;
using policy::Remote;
using policy::Rule;
using policy::Verdict;

namespace {

Verdict judge(const policy::Procedure& row, base::Bytes body, base::Buffer& encoded) {
  encoded.clear();
  return policy::judge(test::call_of(row), body, encoded);
}

bool is_callable(const policy::Procedure& row) {
  return row.rule != Rule::deny && row.rule != Rule::event;
}

void require_malformed(const policy::Procedure& row, base::Bytes body) {
  base::Buffer encoded;
  const Verdict verdict = judge(row, body, encoded);
  REQUIRE(verdict.decision == Decision::refuse);
  REQUIRE(verdict.fault.code == ErrorCode::rpc);
  REQUIRE(encoded.empty());
}

}  // namespace

TEST_CASE("well-formed arguments of every procedure go where its rule says",
          "[policy][arguments]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    CAPTURE(row->name);
    for (const bool optionals : {true, false}) {
      const base::Buffer body = test::body_of(*row, optionals).bytes;
      base::Buffer encoded;
      const Verdict verdict = judge(*row, body, encoded);
      switch (row->rule) {
        case Rule::pass:
        case Rule::check:
          REQUIRE(verdict.decision == Decision::forward);
          REQUIRE(encoded == body);
          break;
        case Rule::local:
          REQUIRE(verdict.decision == Decision::answer);
          REQUIRE(encoded == body);
          break;
        case Rule::deny:
        case Rule::event:
          REQUIRE(verdict.decision == Decision::refuse);
          REQUIRE(encoded.empty());
          break;
      }
      if (is_callable(*row)) REQUIRE(verdict.arguments.count == row->arguments.count);
    }
  }
}

TEST_CASE("arguments that end early or late are malformed", "[policy][arguments]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (!is_callable(*row)) continue;
    CAPTURE(row->name);
    const base::Buffer body = test::body_of(*row).bytes;
    for (std::size_t size = 0; size < body.size(); ++size) {
      require_malformed(*row, base::Bytes(body).first(size));
    }
    for (const std::size_t more : {1U, 4U, 100U}) {
      base::Buffer longer = body;
      longer.resize(body.size() + more);
      require_malformed(*row, longer);
    }
  }
}

TEST_CASE("any word can hold anything", "[policy][arguments]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (!is_callable(*row)) continue;
    CAPTURE(row->name);
    const base::Buffer body = test::body_of(*row).bytes;
    for (std::size_t at = 0; at < body.size(); at += 4) {
      for (const std::uint32_t word :
           {0U, 1U, 0xffffffffU, 0x7fffffffU, 0x80000000U, 0x01000000U, 0xfffffffcU}) {
        base::Buffer hostile = body;
        policy::store_word(&hostile[at], word);
        base::Buffer encoded;
        const Verdict verdict = judge(*row, hostile, encoded);
        if (verdict.decision == Decision::refuse) {
          REQUIRE(encoded.empty());
          REQUIRE_FALSE(verdict.fault.text.empty());
          continue;
        }
        REQUIRE(verdict.decision ==
                (row->rule == Rule::local ? Decision::answer : Decision::forward));
        base::Buffer again;
        REQUIRE(judge(*row, encoded, again).decision == verdict.decision);
        REQUIRE(again == encoded);
      }
    }
  }
}

TEST_CASE("an optional that is present is said so in one way", "[policy][arguments]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    const test::Body body = test::body_of(*row);
    for (const std::size_t at : body.discriminators) {
      for (const char* word : {"01000000", "00000002", "80000000", "ffffffff", "00000001"}) {
        base::Buffer loose = body.bytes;
        const base::Buffer bytes = test::hex(word);
        std::copy(bytes.begin(), bytes.end(), loose.begin() + static_cast<std::ptrdiff_t>(at));
        base::Buffer encoded;
        REQUIRE(judge(*row, loose, encoded).decision != Decision::refuse);
        REQUIRE(encoded == body.bytes);
      }
    }
  }
}

TEST_CASE("padding comes out as zeros", "[policy][arguments]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    const test::Body body = test::body_of(*row);
    for (const test::Body::Text& text : body.texts) {
      base::Buffer loose = body.bytes;
      for (std::size_t i = text.size; i % 4 != 0; ++i) loose[text.offset + 4 + i] = 0xee;
      REQUIRE(loose != body.bytes);
      base::Buffer encoded;
      REQUIRE(judge(*row, loose, encoded).decision != Decision::refuse);
      REQUIRE(encoded == body.bytes);
    }
  }
}

TEST_CASE("a string with a NUL inside is malformed", "[policy][arguments]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    const test::Body body = test::body_of(*row);
    for (const test::Body::Text& text : body.texts) {
      for (std::size_t i = 0; i < text.size; ++i) {
        base::Buffer hostile = body.bytes;
        hostile[text.offset + 4 + i] = 0;
        require_malformed(*row, hostile);
      }
    }
  }
}

TEST_CASE("strings are as long as their bound at most", "[policy][arguments]") {
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_LOOKUP_BY_NAME);
  const std::size_t size = GENERATE(0U, 1U, 4095U, 4096U, 4097U, 100000U);
  base::Buffer body;
  policy::XdrWriter(body).string(std::string(size, 'n'));
  base::Buffer encoded;
  const Verdict verdict = judge(row, body, encoded);
  if (size <= policy::kMaxString) {
    CHECK(verdict.decision == Decision::forward);
    CHECK(encoded == body);
  } else {
    CHECK(verdict.decision == Decision::refuse);
    CHECK(verdict.fault.code == ErrorCode::operation_denied);
    CHECK(verdict.fault.text.find("name has " + std::to_string(size) + " bytes") !=
          std::string::npos);
  }
}

TEST_CASE("arrays are as long as their bound at most", "[policy][arguments]") {
  struct Case {
    Remote procedure;
    std::size_t max;
    std::size_t element;
  };
  const auto [procedure, max, element] = GENERATE(
      Case{Remote::NODE_GET_FREE_PAGES, 16, 4}, Case{Remote::CONNECT_GET_ALL_DOMAIN_STATS, 256, 28},
      Case{Remote::CONNECT_BASELINE_CPU, 64, 8}, Case{Remote::AUTH_SASL_STEP, 65536, 4});
  const policy::Procedure& row = find_procedure(procedure);
  for (const std::size_t count : {std::size_t{0}, max - 1, max, max + 1}) {
    base::Buffer body;
    policy::XdrWriter writer(body);
    if (procedure == Remote::AUTH_SASL_STEP) writer.word(0);
    writer.word(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (procedure == Remote::CONNECT_BASELINE_CPU) {
        writer.string("<c/>");
      } else if (element == 28) {
        writer.string("abc");
        writer.word(static_cast<std::uint32_t>(i));
        writer.fixed(base::Buffer(16, 0));
      } else {
        writer.word(static_cast<std::uint32_t>(procedure == Remote::AUTH_SASL_STEP ? 4 : i));
      }
    }
    if (procedure == Remote::NODE_GET_FREE_PAGES) {
      writer.word(0);
      writer.word(1);
    }
    if (procedure == Remote::CONNECT_GET_ALL_DOMAIN_STATS) writer.word(0);
    if (procedure != Remote::AUTH_SASL_STEP) writer.word(0);
    base::Buffer encoded;
    const Verdict verdict = judge(row, body, encoded);
    const bool none = procedure == Remote::NODE_GET_FREE_PAGES && count == 0;
    CAPTURE(row.name, count);
    CHECK((verdict.decision != Decision::refuse) == (count <= max && !none));
    CHECK(encoded == (verdict.decision == Decision::refuse ? base::Buffer() : body));
  }
}

TEST_CASE("an array names nothing twice", "[policy][arguments]") {
  const auto judge_domains = [](std::uint8_t first, std::uint8_t second) {
    base::Buffer body;
    policy::XdrWriter writer(body);
    writer.word(2);
    for (const std::uint8_t one : {first, second}) {
      writer.string(one == first ? "one" : "two");
      writer.fixed(base::Buffer(16, one));
      writer.number(one == first ? 1 : 2);
    }
    writer.word(0);
    writer.word(0);
    base::Buffer encoded;
    return judge(find_procedure(Remote::CONNECT_GET_ALL_DOMAIN_STATS), body, encoded);
  };
  CHECK(judge_domains(1, 2).decision == Decision::forward);
  // Daemons compare the UUID alone.
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.word(2);
  for (const std::int32_t id : {1, 2}) {
    writer.string("name" + std::to_string(id));
    writer.fixed(base::Buffer(16, 9));
    writer.number(id);
  }
  writer.word(0);
  writer.word(0);
  base::Buffer encoded;
  const Verdict twice = judge(find_procedure(Remote::CONNECT_GET_ALL_DOMAIN_STATS), body, encoded);
  CHECK(twice.decision == Decision::refuse);
  CHECK(twice.fault.text ==
        "virtgate refuses CONNECT_GET_ALL_DOMAIN_STATS: doms names something twice");
  CHECK(encoded.empty());
  const base::Buffer pages = test::hex("00000002 00000004 00000004 00000000 00000001 00000000");
  CHECK(judge(find_procedure(Remote::NODE_GET_FREE_PAGES), pages, encoded).decision ==
        Decision::refuse);
}

TEST_CASE("a count that nothing follows is malformed", "[policy][arguments]") {
  const Remote procedure =
      GENERATE(Remote::NODE_GET_FREE_PAGES, Remote::CONNECT_GET_ALL_DOMAIN_STATS);
  require_malformed(find_procedure(procedure), test::hex("00000004"));
}

TEST_CASE("arguments say what was decoded", "[policy][arguments]") {
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.string("web");
  writer.fixed(base::Buffer(16, 0x11));
  writer.number(-1);
  writer.word(2);
  writer.word(0x02000000);
  writer.string("urn:x");
  writer.word(3);
  base::Buffer encoded = test::hex("01020304");
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_GET_METADATA);
  const Verdict verdict = policy::judge(test::call_of(row), body, encoded);
  REQUIRE(verdict.decision == Decision::forward);
  REQUIRE(verdict.procedure == &row);
  REQUIRE(verdict.arguments.count == 4);
  CHECK(verdict.arguments[0].text == "web");
  CHECK(verdict.arguments[0].encoded.size() == 28);
  CHECK(verdict.arguments[0].encoded.data() == encoded.data() + 4);
  CHECK(verdict.arguments[1].number == 2);
  CHECK(verdict.arguments[2].present);
  CHECK(verdict.arguments[2].text == "urn:x");
  const base::Bytes optional = verdict.arguments[2].encoded;
  CHECK(base::Buffer(optional.begin(), optional.end()) ==
        test::hex("00000001 00000005 75726e3a78000000"));
  CHECK(verdict.arguments[3].number == 3);
  CHECK(encoded.size() == 4 + body.size());
  CHECK(base::Buffer(encoded.begin(), encoded.begin() + 4) == test::hex("01020304"));
}

TEST_CASE("absent optionals are absent", "[policy][arguments]") {
  const policy::Procedure& row = find_procedure(Remote::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY);
  base::Buffer encoded;
  const base::Buffer body = test::hex("ffffffff 00000000");
  const Verdict verdict = judge(row, body, encoded);
  REQUIRE(verdict.decision == Decision::answer);
  CHECK(verdict.arguments[0].number == -1);
  CHECK_FALSE(verdict.arguments[1].present);
  CHECK(verdict.arguments[1].text.empty());
  CHECK(verdict.arguments[1].encoded.size() == 4);
}

TEST_CASE("objects are read by their own fields", "[policy][arguments]") {
  struct Case {
    Remote procedure;
    const char* hex;
    std::string_view title;
  };
  const auto [procedure, digits, title] = GENERATE(
      Case{Remote::NETWORK_IS_ACTIVE, "00000001 6e000000 00112233445566778899aabbccddeeff", "n"},
      Case{Remote::STORAGE_VOL_GET_PATH, "00000001 70000000 00000001 76000000 00000001 6b000000",
           "v"},
      Case{Remote::INTERFACE_IS_ACTIVE, "00000001 69000000 00000002 6d6d0000", "i"},
      Case{Remote::SECRET_GET_XML_DESC,
           "00112233445566778899aabbccddeeff ffffffff 00000003 752f7600 00000000", "u/v"},
      Case{Remote::DOMAIN_SNAPSHOT_IS_CURRENT,
           "00000001 73000000 00000001 64000000 00112233445566778899aabbccddeeff ffffffff 00000000",
           "s"},
      Case{Remote::NWFILTER_BINDING_GET_XML_DESC, "00000001 70000000 00000001 66000000 00000000",
           "p"},
      Case{Remote::NETWORK_PORT_GET_XML_DESC,
           "00000001 6e000000 00112233445566778899aabbccddeeff 00112233445566778899aabbccddeeff "
           "00000000",
           "n"});
  const policy::Procedure& row = find_procedure(procedure);
  const base::Buffer body = test::hex(digits);
  base::Buffer encoded;
  const Verdict verdict = judge(row, body, encoded);
  CAPTURE(row.name);
  REQUIRE(verdict.decision == Decision::forward);
  CHECK(verdict.arguments[0].text == title);
  CHECK(encoded == body);
}

TEST_CASE("a buffer that is used again does not grow", "[policy][arguments]") {
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_GET_XML_DESC);
  const base::Buffer body = test::body_of(row).bytes;
  base::Buffer encoded;
  judge(row, body, encoded);
  const std::size_t capacity = encoded.capacity();
  for (int i = 0; i < 100; ++i) judge(row, body, encoded);
  CHECK(encoded.capacity() == capacity);
}
