// A record is one line of JSON whatever it holds, and a flood of one user or one kind of record is
// counted and hides no others.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "proxy/record/audit.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"
#include "tests/unit/support/world.h"

using nlohmann::json;
using proxy::Audit;
using proxy::AuditFile;
using proxy::Level;
using tunnel::io::Milliseconds;

namespace {

// A file that is full while `broken`.
struct Lines final : proxy::AuditSink {
  void put(std::string line) override {
    if (broken) {
      losses = {losses.count + 1, ENOSPC};
    } else {
      lines.push_back(std::move(line));
    }
  }
  [[nodiscard]] proxy::Losses lost() const override { return losses; }
  [[nodiscard]] bool idle() const override { return true; }

  bool broken = false;
  proxy::Losses losses;
  std::vector<std::string> lines;
};

// An audit that keeps its lines.
struct Kept {
  void refused(std::int64_t uid) { audit.audit(Level::warning, "refused").with("uid", uid); }
  void wait(Milliseconds time) { clock.advance(clock.now() + time); }

  std::shared_ptr<Lines> sink = std::make_shared<Lines>();
  std::vector<std::string>& lines = sink->lines;
  tunnel::io::Clock clock;
  test::MemoryLog log;
  Audit audit{clock, log, {{1000, "anna"}}, sink, false, std::uint64_t{1} << 30};
};

// Lifted at the end.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit full{bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

std::unique_ptr<AuditFile> opened(const std::string& path) {
  auto file = AuditFile::open({path, false, std::nullopt});
  REQUIRE(file);
  REQUIRE(*file != nullptr);
  return std::move(*file);
}

void settle(const AuditFile& file) {
  for (int i = 0; i < 6000 && !file.idle(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// What was put has been written, or lost, though a line may not be whole yet.
void put(AuditFile& file, const std::string& line, std::uint64_t lost = 0) {
  file.put(line);
  for (int i = 0; i < 6000 && !file.idle() && file.lost().count < lost; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

TEST_CASE("a record is one line of JSON, whatever is in it") {
  proxy::Record record{Level::warning, "refused", true, {}};
  record.fields = {{"uid", "1000", true}, {"reason", "a \"b\"\n\xff\x1b[2J", false}};
  record.time = std::chrono::system_clock::time_point(Milliseconds(1700000000123));
  const std::string line = proxy::to_json(record);
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

TEST_CASE("records that a file does not take are counted, and said within a while") {
  Kept kept;
  kept.sink->broken = true;
  kept.refused(1000);
  kept.refused(1000);
  kept.wait(Audit::kLook);
  CHECK(kept.log.lines.back() ==
        "audit-lost count=2 reason=\"cannot write to the audit file: No space left on device\"");
  kept.refused(1000);
  kept.wait(Audit::kSay - Milliseconds(1));
  CHECK(kept.log.count("audit-lost") == 1);
  kept.wait(Milliseconds(1));
  CHECK(kept.log.count("audit-lost count=1") == 1);
  kept.sink->broken = false;
  kept.refused(1000);
  kept.wait(Audit::kSay);
  kept.wait(Audit::kSay);
  CHECK(kept.log.count("audit-lost") == 2);
  CHECK(kept.audit.lost() == 3);
  // Another file begins with what it lost itself.
  kept.audit.redirect(std::make_shared<Lines>(), false);
  CHECK(kept.audit.lost() == 3);
  kept.refused(1000);
  kept.wait(Audit::kSay);
  CHECK(kept.log.count("audit-lost") == 2);
}

TEST_CASE("the file of the audit is appended to, and must be a file") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("audit.json", "before\n");
  {
    const auto file = opened(path);
    file->put("one\n");
    file->put("two\n");
    file->finish();
  }
  CHECK(test::read_file(path) == "before\none\ntwo\n");
  CHECK(AuditFile::open({"/dev/null", false, std::nullopt}).error() ==
        "the audit file /dev/null is not a regular file");
  CHECK(AuditFile::open({folder / "no/such", false, std::nullopt})
            .error()
            .find("cannot be opened: No such file") != std::string::npos);
}

TEST_CASE("a line that does not fit is finished before the next one, and no line is torn") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "audit.json";
  const auto file = opened(path);
  {
    const FileLimit full(6);
    put(*file, "one\n");
    settle(*file);
    file->put("two\n");
    put(*file, "three\n", 1);
    CHECK(test::read_file(path) == "one\ntw");
    CHECK(file->lost().count == 1);
    CHECK(file->lost().error == EFBIG);
  }
  put(*file, "four\n");
  settle(*file);
  const std::string text = test::read_file(path);
  const std::string whole = "one\ntwo\nfour\n";
  REQUIRE(text.starts_with(whole));
  const json said = json::parse(text.substr(whole.size()));
  CHECK(said["event"] == "audit-lost");
  CHECK(said["count"] == 1);
}

TEST_CASE("half a line that another process left is not made longer") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("audit.json", "one\ntw");
  const auto file = opened(path);
  file->put("three\n");
  settle(*file);
  CHECK(test::read_file(path) == "one\ntw\nthree\n");
}

TEST_CASE("lines go to the file that was open when they were made, in order") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "audit.json";
  auto before = opened(path);
  for (int i = 0; i < 1000; ++i) before->put(std::to_string(i) + "\n");
  REQUIRE(std::rename(path.c_str(), (folder / "audit.json.1").c_str()) == 0);
  auto after = opened(path);
  after->follow(*before);
  before.reset();
  after->put("last\n");
  settle(*after);
  CHECK(test::read_file(folder / "audit.json.1").ends_with("\n998\n999\n"));
  CHECK(test::read_file(path) == "last\n");
}

TEST_CASE("users of the system have names") { CHECK(proxy::local_user_names().at(0) == "root"); }
