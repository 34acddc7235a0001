#include "tests/unit/support/policy_hex.h"

#include "base/check.h"

namespace test {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

base::Buffer hex(std::string_view digits) {
  base::Buffer bytes;
  int high = -1;
  for (const char c : digits) {
    if (c == ' ' || c == '\n') continue;
    CHECK(digit(c) >= 0);
    if (high < 0) {
      high = digit(c);
    } else {
      bytes.push_back(static_cast<std::uint8_t>(high * 16 + digit(c)));
      high = -1;
    }
  }
  CHECK(high < 0);
  return bytes;
}

}  // namespace test
