// Files on which a connection relies count as changed when they are written, replaced, removed or
// made, and other files do not count.
#include <filesystem>
#include <fstream>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/file_marks.h"

namespace fs = std::filesystem;
using tunnel::FileMarks;

namespace {

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("files have changed when they were replaced, written, removed or made", "[tunnel]") {
  const test::TemporaryFolder folder;
  const std::string there = folder / "there";
  const std::string missing = folder / "missing";
  write(there, "one");
  FileMarks marks([&](auto&) { return std::vector{there, missing}; });
  tunnel::io::Whereabouts whereabouts;
  CHECK_FALSE(marks.changed(whereabouts));
  SECTION("nobody relied on them") {
    write(there, "three");
    CHECK_FALSE(marks.changed(whereabouts));
    marks.note(whereabouts);
    CHECK_FALSE(marks.changed(whereabouts));
    return;
  }
  marks.note(whereabouts);
  SECTION("written") { write(there, "three"); }
  SECTION("replaced by one that holds the same") {
    write(folder / "new", "one");
    fs::rename(folder / "new", there);
  }
  SECTION("removed") { fs::remove(there); }
  SECTION("made") { write(missing, ""); }
  SECTION("a link to another") {
    fs::remove(there);
    write(folder / "v2", "one");
    fs::create_symlink("v2", there);
  }
  SECTION("read by a second connection in another state") {
    const auto before = folder / "before";
    fs::rename(there, before);
    marks.note(whereabouts);
    fs::rename(before, there);
    marks.note(whereabouts);
  }
  CHECK(marks.changed(whereabouts));
}
