// A pattern matches the whole text, ? stands for a character only where the caller wants that, and
// hundreds of stars do not make a match slow.
#include <string>

#include "base/pattern.h"
#include "tests/unit/support/catch.h"

TEST_CASE("a pattern matches a whole text", "[base]") {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  const Case c = GENERATE(values<Case>({
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"**", "abc", true},
      {"abc", "abc", true},
      {"abc", "abcd", false},
      {"abcd", "abc", false},
      {"a*c", "abbbc", true},
      {"a*c", "abbcb", false},
      {"a*b*c", "aXbYbZc", true},
      {"*.example.com", "hail.example.com", true},
      {"*.example.com", "example.com", false},
      {"hail*", "hail", true},
      {"h?il", "hail", false},
      {"h?il", "h?il", true},
  }));
  CAPTURE(c.pattern, c.text);
  CHECK(base::matches(c.pattern, c.text) == c.matches);
}

TEST_CASE("a pattern of many stars ends soon on a text that it nearly matches", "[base]") {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  CHECK_FALSE(base::matches(pattern + "b", std::string(4000, 'a')));
}

TEST_CASE("a question mark stands for one character where it is a wildcard", "[base]") {
  const auto both = base::Wildcards::star_and_question;
  CHECK(base::matches("h?il", "hail", both));
  CHECK(base::matches("?*", "hail", both));
  CHECK_FALSE(base::matches("?*", "", both));
  CHECK_FALSE(base::matches("h?il", "hil", both));
}
