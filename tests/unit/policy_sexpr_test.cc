// Nodes with passwords are cut out of an S-expression wherever they are, all else stays as it is,
// and a text that is malformed or cut is refused.
#include <string>
#include <string_view>

#include "policy/sexpr.h"
#include "tests/unit/support/catch.h"

namespace {

using policy::SexprKind;
using policy::without_passwords;

std::string scrubbed(std::string_view text, SexprKind kind = SexprKind::nodes) {
  INFO(text);
  const auto out = without_passwords(text, kind);
  REQUIRE(out);
  return *out;
}

bool refused(std::string_view text) { return !without_passwords(text, SexprKind::nodes); }

}  // namespace

TEST_CASE("what has no passwords stays as it is", "[policy][sexpr]") {
  for (const char* text :
       {"()", "(a)", "(a b (c d) ())", "((a) (b))", " (a)\r\n", "(a)(b)\t(c)",
        "(domain (domid 1) (name web-1) (uuid 5a8f-0) (memory 256) (cpu_time 1.5e+02)(on_reboot "
        "restart))",
        "(name 'it\\'s')", "(name \"it's (vncpasswd x)\")", "(name 'a)b(c')", "(n 'a\\\\')",
        "(node (xen_caps 'xen-3.0-x86_64 hvm-3.0-x86_32 ') (host a.example.com))",
        "(text 'line\none\ttwo')", "(vncpasswdfile x)", "(vnc 1)", "(\xc3\xa4 '\xff')",
        "(a vncpasswd)", "(a 'passwd' b)"}) {
    CHECK(scrubbed(text) == text);
  }
}

TEST_CASE("nodes with passwords go, wherever they are", "[policy][sexpr]") {
  struct Case {
    const char* text;
    const char* left;
  };
  const Case c = GENERATE(values<Case>({
      {"(domain (image (hvm (vnc 1) (vncpasswd geheim) (pae 1))))",
       "(domain (image (hvm (vnc 1) (pae 1))))"},
      {"(domain (image (linux (vncpasswd 'ge heim'))))", "(domain (image (linux)))"},
      {"(domain (device (vfb (type vnc) (vncpasswd \"ge'heim\"))))",
       "(domain (device (vfb (type vnc))))"},
      {"(vfb (passwd geheim) (vncunused 1))", "(vfb (vncunused 1))"},
      {"(vfb (vncpassword geheim))", "(vfb)"},
      {"(vfb (password (geheim (und mehr)) noch) x)", "(vfb x)"},
      {"(vfb (VncPasswd geheim))", "(vfb)"},
      {"(vfb ('vncpasswd' geheim))", "(vfb)"},
      {"(vfb (\"vncpasswd\" geheim))", "(vfb)"},
      {"(vfb ('vnc\\x70asswd' geheim))", "(vfb)"},
      {"(vfb (\n vncpasswd\t'geheim)\\')(' ) a)", "(vfb a)"},
      {"(vfb (vncpasswd))", "(vfb)"},
      {"(a(vncpasswd geheim)b)", "(a b)"},
      {"('a'(vncpasswd geheim)'b')", "('a' 'b')"},
      {"(a(vncpasswd geheim)(b))", "(a (b))"},
      {"((vncpasswd geheim) (vncpasswd geheim)) (b)", "() (b)"},
      {"((passwd geheim) vncpasswd geheim) (b)", "(b)"},
      {"(vncpass(passwd geheim)wd geheim)", "(vncpass wd geheim)"},
      {"(vncpasswd geheim) (b)", "(b)"},
      {"(b) (vncpasswd geheim)", "(b)"},
      {"(a (vncpasswd (vncpasswd geheim) geheim) (b (c (passwd geheim))))", "(a (b (c)))"},
  }));
  CAPTURE(c.text);
  std::string left = scrubbed(c.text);
  while (!left.empty() && left.front() == ' ') left.erase(0, 1);
  CHECK(left == c.left);
  if (std::string_view(c.text).find("vncpass(") == std::string_view::npos) {
    CHECK(left.find("geheim") == std::string::npos);
  }
  CHECK(scrubbed(left) == left);
}

TEST_CASE("in a list of names the first is no key", "[policy][sexpr]") {
  CHECK(scrubbed("(passwd web)", SexprKind::names) == "(passwd web)");
  CHECK(scrubbed("(vncpasswd)", SexprKind::names) == "(vncpasswd)");
  CHECK(scrubbed("((domain (vncpasswd x)))", SexprKind::names) == "((domain))");
  CHECK(scrubbed("(a (vncpasswd x) b)", SexprKind::names) == "(a b)");
  CHECK(scrubbed("()", SexprKind::names) == "()");
}

TEST_CASE("what is no S-expression is not passed on", "[policy][sexpr]") {
  for (const char* text : {"",
                           " \r\n",
                           "a",
                           "'a'",
                           "a (b)",
                           "(b) a",
                           "(",
                           ")",
                           "(a",
                           "(a))",
                           "(a) )",
                           "('a)",
                           "(\"a)",
                           "('a\\')",
                           "('a'b)",
                           "(a'b')",
                           "('a''b')",
                           "(a\\b)",
                           "(a;b)",
                           "(a[b])",
                           "(a{b})",
                           "(#a)",
                           "(a #b)",
                           "(<a>)",
                           "(!a)",
                           "(a`b)",
                           "<html></html>",
                           "xend: no such domain",
                           "{\"a\": 1}",
                           "(a\x01)",
                           "('a\x01')",
                           "('a\\\x01')",
                           "(a\x7f)",
                           "(vncpasswd x)",
                           " (passwd x) ",
                           "(vncpasswd x",
                           "(a (vncpasswd 'x)"}) {
    CAPTURE(text);
    CHECK(refused(text));
  }
  CHECK(refused(std::string_view("(a\0)", 4)));
  CHECK(refused(std::string_view("('a\0')", 6)));
}

TEST_CASE("lists nest as deep as the bound, and depth costs no stack", "[policy][sexpr]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + std::string(depth, ')');
  };
  CHECK(scrubbed(nested(policy::kDeepestSexpr)) == nested(policy::kDeepestSexpr));
  CHECK(refused(nested(policy::kDeepestSexpr + 1)));
  CHECK(refused(std::string(1U << 20, '(')));
  std::string many = "(";
  for (int i = 0; i < 20000; ++i) many += "(vncpasswd x)";
  CHECK(scrubbed(many + ")") == "()");
}

TEST_CASE("a text that is cut short is refused at every place", "[policy][sexpr]") {
  const std::string text =
      "(domain (name 'a\\'b') (image (hvm (vncpasswd geheim) (b \"c'\"))) (device (vfb (passwd "
      "'geheim'))))";
  CHECK(scrubbed(text) == "(domain (name 'a\\'b') (image (hvm (b \"c'\"))) (device (vfb)))");
  for (std::size_t end = 0; end < text.size(); ++end) CHECK(refused(text.substr(0, end)));
}

TEST_CASE("a text may be gone through in pieces of any length", "[policy][sexpr]") {
  std::string text = "(domain (vfb (vncpasswd geheim)) ('name' 'a b') (x (y z))) (passwd)";
  for (int i = 0; i < 2000; ++i) text += " (a (b 'c') (password d))";
  const auto whole = without_passwords(text, SexprKind::nodes);
  REQUIRE(whole);
  for (const std::size_t piece : {1U, 7U, 64U, 4096U}) {
    policy::Scrubber scrubber(text, SexprKind::nodes);
    std::size_t pieces = 1;
    while (!scrubber.go_on(piece)) ++pieces;
    CHECK(scrubber.take() == whole);
    CHECK(pieces >= text.size() / (piece + 20));
    CHECK(pieces <= text.size() / piece + 1);
  }
  policy::Scrubber wrong("(a b) ) (c)", SexprKind::nodes);
  while (!wrong.go_on(1)) {
  }
  CHECK(!wrong.take());
}
