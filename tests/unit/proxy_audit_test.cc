// A record is one line of JSON whatever it holds, and a flood of one user or one kind of record is
// counted and hides no others.
#include <array>
#include <csignal>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "proxy/record/audit.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"
#include "tests/unit/support/world.h"

using nlohmann::json;
using proxy::Audit;
using proxy::Level;
using tunnel::io::Milliseconds;

namespace {

// An audit that keeps its lines.
struct Kept {
  explicit Kept(bool calls = false)
      : audit(
            clock, log, {{1000, "anna"}},
            [this](const std::string& line) {
              if (!broken) lines.push_back(line);
              return !broken;
            },
            calls) {}

  void refused(std::int64_t uid) { audit.audit(Level::warning, "refused").with("uid", uid); }

  bool broken = false;
  std::vector<std::string> lines;
  tunnel::io::Clock clock;
  test::MemoryLog log;
  Audit audit;
};

}  // namespace

TEST_CASE("a record is one line of JSON, whatever is in it") {
  proxy::Record record{Level::warning, "refused", true, {}};
  record.fields = {{"uid", "1000", true}, {"reason", "a \"b\"\n\xff\x1b[2J", false}};
  const std::string line = proxy::to_json(record, 1700000000123);
  CHECK(line.find('\n') == line.size() - 1);
  const json parsed = json::parse(line);
  CHECK(parsed["time"] == "2023-11-14T22:13:20.123Z");
  CHECK(parsed["level"] == "warning");
  CHECK(parsed["event"] == "refused");
  CHECK(parsed["uid"] == 1000);
  CHECK(parsed["reason"] == "a \"b\"\\x0a\\xff\\x1b[2J");
}

TEST_CASE("records of clients go to the log and to the file, others to the log alone") {
  Kept kept;
  kept.audit.line(Level::info, "listen").with("socket", "/s");
  kept.audit.audit(Level::info, "open").with("uid", 1000).with("target", "hail");
  kept.audit.audit(Level::info, "open").with("uid", 1001);
  CHECK(kept.log.lines == std::vector<std::string>{"listen socket=/s",
                                                   "open uid=1000 target=hail user=anna",
                                                   "open uid=1001"});
  REQUIRE(kept.lines.size() == 2);
  CHECK(json::parse(kept.lines[0])["user"] == "anna");
  CHECK_FALSE(kept.audit.wants_calls());
}

TEST_CASE("a flood of one user's records is counted, and hides nobody else's") {
  Kept kept;
  for (int i = 0; i < 2000; ++i) kept.refused(1000);
  CHECK(kept.lines.size() == Audit::kBurst);
  kept.refused(1001);
  CHECK(kept.lines.size() == Audit::kBurst + 1);
  kept.clock.advance(Milliseconds(1000));
  kept.refused(1000);
  CHECK(json::parse(kept.lines.back())["suppressed"] == 1500);
  for (int i = 0; i < 2000; ++i) kept.refused(1000);
  const std::size_t before = kept.lines.size();
  kept.clock.advance(kept.clock.now() + Audit::kSay);
  REQUIRE(kept.lines.size() == before + 1);
  const json said = json::parse(kept.lines.back());
  CHECK(said["event"] == "suppressed");
  CHECK(said["uid"] == 1000);
  CHECK(said["record"] == "refused");
  CHECK(said["suppressed"] == 1951);
  // Who has been quiet for long is forgotten, and the timer ends.
  for (int i = 0; i < 5; ++i) kept.clock.advance(kept.clock.now() + 10 * Audit::kSay);
  CHECK_FALSE(kept.clock.next());
}

TEST_CASE("a flood of one kind of record hides no other kind, and no first open of a target") {
  Kept kept;
  const auto open = [&](const char* target) {
    kept.audit.audit(Level::info, "open").with("uid", 1000).with("target", target);
  };
  for (int i = 0; i < 2000; ++i) kept.refused(1000);
  const std::size_t before = kept.lines.size();
  for (int i = 0; i < 2000; ++i) open("noise");
  CHECK(kept.lines.size() == before + Audit::kBurst);
  open("secret");
  REQUIRE(kept.lines.size() == before + Audit::kBurst + 1);
  CHECK(json::parse(kept.lines.back())["target"] == "secret");
  open("secret");
  CHECK(kept.lines.size() == before + Audit::kBurst + 1);
  // Names without end are no way around the bound.
  for (int i = 0; i < 2000; ++i) open(std::to_string(i).c_str());
  CHECK(kept.lines.size() <= before + Audit::kBurst + Audit::kMostFirst);
}

TEST_CASE("that a file cannot be written is said once") {
  Kept kept;
  kept.broken = true;
  kept.refused(1000);
  kept.refused(1000);
  CHECK(kept.log.count("audit-lost") == 1);
  kept.broken = false;
  kept.refused(1000);
  kept.broken = true;
  kept.refused(1000);
  CHECK(kept.log.count("audit-lost") == 2);
}

TEST_CASE("the file of the audit is appended to, and must be a file") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("audit.json", "before\n");
  auto sink = proxy::open_audit_file(path);
  REQUIRE(sink);
  CHECK((*sink)("one\n"));
  CHECK((*sink)("two\n"));
  CHECK(test::read_file(path) == "before\none\ntwo\n");
  CHECK(proxy::open_audit_file("/dev/null").error() ==
        "the audit file /dev/null is not a regular file");
  CHECK(proxy::open_audit_file(folder / "no/such").error().find("cannot be opened: No such file") !=
        std::string::npos);
}

TEST_CASE("a line that was cut short does not spoil the next one") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "audit.json";
  auto sink = proxy::open_audit_file(path);
  REQUIRE(sink);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{6, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
  const std::array<bool, 3> written = {(*sink)("one\n"), (*sink)("two\n"), (*sink)("three\n")};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, old);
  CHECK(written == std::array<bool, 3>{true, false, false});
  CHECK((*sink)("four\n"));
  CHECK((*sink)("five\n"));
  CHECK(test::read_file(path) == "one\ntw\nfour\nfive\n");
}

TEST_CASE("users of the system have names") { CHECK(proxy::local_user_names().at(0) == "root"); }
