// XML of real clients passes, and a document with a DTD, another encoding or more elements and
// blank lines than allowed is refused.
#include <string>

#include "policy/document.h"
#include "policy/filter.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"

using policy::Decision;
using policy::objection_to;
using policy::Remote;

TEST_CASE("documents of real clients pass", "[policy][document]") {
  const char* document = GENERATE(
      "<cpu/>", "<?xml version='1.0'?>\n<cpu/>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><cpu/>",
      "<?xml version='1.0' encoding = 'utf-8' ?><cpu/>",
      "<?xml version='1.0' encoding='US-ASCII'?><cpu/>",
      "\n\t <cpu mode='custom'>\r\n  <model>x</model>\n</cpu>\n", "\xef\xbb\xbf<cpu/>",
      "<!-- a comment --><cpu><![CDATA[x]]></cpu>", "<cpu encoding='latin1'/>");
  CAPTURE(document);
  CHECK(objection_to(document).empty());
}

TEST_CASE("documents that make a parser do more than parse are refused", "[policy][document]") {
  const std::string document = GENERATE(
      as<std::string>{}, "", "  ", "cpu", "\xef\xbb\xbf",
      "<!DOCTYPE cpu SYSTEM \"file:///dev/zero\"><cpu/>", "<?xml version='1.0'?><!DOCTYPE x><cpu/>",
      "<!doctype cpu><cpu/>", "<cpu><!ENTITY a 'b'></cpu>", "<! DOCTYPE cpu><cpu/>", "<!",
      "<cpu/><!-", "<!-- --><!D>", "<?xml version='1.0' encoding='UTF-7'?>+ADw-cpu/>",
      "<?xml version='1.0' encoding=UTF-8?><cpu/>", "<?xml version='1.0' encoding='UTF-8",
      "<?xml encoding", "<?xml encoding=\"IBM037\"?>", "\xff\xfe<cpu/>", "\x4c\x6f\xa7\x94\x93");
  CAPTURE(document);
  CHECK_FALSE(objection_to(document).empty());
}

TEST_CASE("runs of blank lines are bounded", "[policy][document]") {
  const std::string line = GENERATE(as<std::string>{}, "\n", "\r", " \n", "\t\n ", "\n\t");
  const auto with = [&](int lines) {
    std::string document = "<cpu>";
    for (int i = 0; i < lines; ++i) document += line;
    return document + "</cpu>";
  };
  CHECK(objection_to(with(64)).empty());
  CHECK_FALSE(objection_to(with(65)).empty());
  CHECK_FALSE(objection_to(with(700)).empty());
}

TEST_CASE("many lines that are not blank pass", "[policy][document]") {
  std::string document = "<cpu>";
  for (int i = 0; i < 1000; ++i) document += "\n  <feature/>";
  CHECK(objection_to(document + "</cpu>").empty());
}

TEST_CASE("what parsing a document costs is bounded", "[policy][document]") {
  const auto repeated = [](std::size_t times, const std::string& text) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
  };
  CHECK(objection_to("<cpu>" + repeated(2047, "<f/>") + "</cpu>").empty());
  CHECK(objection_to("<cpu>" + repeated(2048, "<f/>") + "</cpu>") == "has too many elements");
  CHECK(objection_to("<cpu " + repeated(32, "a='' ") + "/>").empty());
  CHECK(objection_to("<cpu " + repeated(33, "a='' ") + "/>") ==
        "has an element with too many attributes");
  const std::string full = "<f " + repeated(32, "a='' ") + "/>";
  CHECK(objection_to("<cpu>" + repeated(256, full) + "</cpu>").empty());
  CHECK(objection_to("<cpu>" + repeated(256, full) + "<f a=''/></cpu>") ==
        "has too many attributes");
  // Whatever a quote or a comment hides, it is counted.
  CHECK_FALSE(objection_to("<cpu b='>' " + repeated(40, "a='' ") + "/>").empty());
  CHECK_FALSE(objection_to("<!-- <x> --><cpu " + repeated(40, "xmlns:a='' ") + "/>").empty());
  CHECK(objection_to(repeated(32, "<a>") + repeated(32, "</a>")).empty());
  CHECK(objection_to(repeated(33, "<a>") + repeated(33, "</a>")) == "is nested too deeply");
}

TEST_CASE("each document is as long as its bound at most", "[policy][document]") {
  const policy::Procedure& row = policy::find_procedure(Remote::CONNECT_BASELINE_CPU);
  const auto judge = [&](std::size_t first, std::size_t second) {
    base::Buffer body;
    policy::XdrWriter writer(body);
    writer.word(2);
    writer.string("<" + std::string(first - 1, 'a'));
    writer.string("<" + std::string(second - 1, 'a'));
    writer.word(0);
    base::Buffer encoded;
    return policy::judge(test::call_of(row), body, encoded).decision;
  };
  CHECK(judge(policy::kMaxDocument, policy::kMaxDocument) == Decision::forward);
  CHECK(judge(policy::kMaxDocument, policy::kMaxDocument + 1) == Decision::refuse);
  CHECK(judge(policy::kMaxDocument + 1, 1) == Decision::refuse);
}

TEST_CASE("a refused document is said to the client", "[policy][document]") {
  const policy::Procedure& row = policy::find_procedure(Remote::CONNECT_COMPARE_CPU);
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.string("<!DOCTYPE cpu><cpu/>");
  writer.word(0);
  base::Buffer encoded;
  const policy::Verdict verdict = policy::judge(test::call_of(row), body, encoded);
  CHECK(verdict.decision == Decision::refuse);
  CHECK(verdict.fault.code == policy::ErrorCode::operation_denied);
  CHECK(verdict.fault.text ==
        "virtgate refuses CONNECT_COMPARE_CPU: xml has a document type or other declarations");
}
