// Whoever comes with a crowd waits behind their own crowd.
#include "tests/unit/support/catch.h"
#include "tunnel/io/newcomers.h"

namespace test {
namespace {

using Newcomers = tunnel::io::Newcomers<int>;

std::vector<int> all(Newcomers& newcomers) {
  std::vector<int> out;
  while (const auto one = newcomers.next()) out.push_back(*one);
  return out;
}

TEST_CASE("newcomers are taken in turn by user, and in their order of each") {
  Newcomers newcomers(100);
  for (int i = 0; i < 6; ++i) CHECK(!newcomers.add(7, i, 10));
  CHECK(!newcomers.add(8, 100, 10));
  CHECK(!newcomers.add(9, 200, 10));
  CHECK(!newcomers.add(8, 101, 10));
  CHECK(newcomers.size() == 9);
  CHECK(newcomers.next() == 0);
  CHECK(newcomers.next() == 100);
  // Who was there meanwhile has lost no turn.
  CHECK(!newcomers.add(6, 300, 10));
  CHECK(all(newcomers) == std::vector<int>{200, 1, 101, 300, 2, 3, 4, 5});
  CHECK(newcomers.size() == 0);
  CHECK(!newcomers.next());
}

TEST_CASE("of a user no more newcomers wait than may, and others are let wait") {
  Newcomers newcomers(100);
  CHECK(!newcomers.add(7, 0, 2));
  CHECK(!newcomers.add(7, 1, 2));
  CHECK(newcomers.add(7, 2, 2) == std::pair<uid_t, int>(7, 2));
  CHECK(newcomers.add(8, 3, 0) == std::pair<uid_t, int>(8, 3));
  CHECK(!newcomers.add(8, 4, 1));
  CHECK(all(newcomers) == std::vector<int>{0, 4, 1});
}

TEST_CASE("when all places are taken the user who has the most of them loses one") {
  Newcomers newcomers(4);
  for (int i = 0; i < 4; ++i) CHECK(!newcomers.add(7, i, 10));
  CHECK(newcomers.add(8, 100, 10) == std::pair<uid_t, int>(7, 3));
  CHECK(newcomers.add(7, 4, 10) == std::pair<uid_t, int>(7, 4));
  CHECK(newcomers.size() == 4);
  CHECK(all(newcomers) == std::vector<int>{0, 100, 1, 2});
  // Each of many users has one: the newest of the last goes, and with it the user.
  Newcomers small(1);
  CHECK(!small.add(1, 10, 5));
  const auto out = small.add(2, 20, 5);
  REQUIRE(out);
  CHECK(small.size() == 1);
  CHECK(all(small).size() == 1);
  CHECK(!small.next());
}

}  // namespace
}  // namespace test
