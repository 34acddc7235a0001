// A mistyped word finds the nearest known one, and a number is taken only when it is all digits and
// within its bound.
#include <array>
#include <string>

#include "conf/text.h"
#include "tests/unit/support/catch.h"

TEST_CASE("a mistyped word finds the nearest one, and a strange one none", "[conf]") {
  static constexpr std::array<std::string_view, 3> kWords = {"listen", "targets", "limits"};
  CHECK(conf::nearest("lisen", kWords) == "listen");
  CHECK(conf::nearest("Target", kWords) == "targets");
  CHECK(conf::nearest("limit", kWords) == "limits");
  CHECK(conf::nearest("frobnicate", kWords) == std::nullopt);
  CHECK(conf::nearest(std::string(100000, 'l'), kWords) == std::nullopt);
}

TEST_CASE("a decimal number is of digits and within its bound", "[conf]") {
  CHECK(conf::decimal("0", 10) == 0U);
  CHECK(conf::decimal("007", 10) == 7U);
  CHECK(conf::decimal("10", 10) == 10U);
  CHECK(conf::decimal("11", 10) == std::nullopt);
  CHECK(conf::decimal("18446744073709551615", UINT64_MAX) == UINT64_MAX);
  CHECK(conf::decimal("18446744073709551616", UINT64_MAX) == std::nullopt);
  CHECK(conf::decimal("5", 4) == std::nullopt);
  for (const char* text : {"", "+1", "-1", " 1", "1 ", "0x1", "1e1"}) {
    CAPTURE(text);
    CHECK(conf::decimal(text, 100) == std::nullopt);
  }
}
