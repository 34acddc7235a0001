// A text file of metrics is replaced as a whole, and a pipe or a link that others put in the way is
// neither waited for nor followed.
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/report/textfile.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"

using proxy::replace_file;

TEST_CASE("a text takes the place of the one before") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "gate.prom";
  CHECK_FALSE(replace_file(path, "one\n"));
  CHECK_FALSE(replace_file(path, "two\n"));
  CHECK(test::read_file(path) == "two\n");
  CHECK(access((path + ".new").c_str(), F_OK) != 0);
}

TEST_CASE("what others have put in the way of a text is neither waited for nor followed") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "gate.prom";
  const std::string fresh = path + ".new";
  const std::string other = folder.write("other", "theirs");
  SECTION("a pipe that nobody reads") { REQUIRE(mkfifo(fresh.c_str(), 0666) == 0); }
  SECTION("a symbolic link") { REQUIRE(symlink(other.c_str(), fresh.c_str()) == 0); }
  SECTION("a link") { REQUIRE(link(other.c_str(), fresh.c_str()) == 0); }
  CHECK_FALSE(replace_file(path, "mine\n"));
  CHECK(test::read_file(path) == "mine\n");
  CHECK(test::read_file(other) == "theirs");
}

TEST_CASE("a text that cannot be written says why") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "gate.prom";
  REQUIRE(mkdir((path + ".new").c_str(), 0755) == 0);
  const auto wrong = replace_file(path, "mine\n");
  REQUIRE(wrong);
  CHECK(*wrong == path + " cannot be written: File exists");
}
