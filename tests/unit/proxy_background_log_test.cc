// A log that does not take records stops nobody, and says afterwards what it lost.
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/record/background_log.h"
#include "tests/unit/support/catch.h"

using proxy::BackgroundLog;
using proxy::Level;

namespace {

// Outlives the log that writes to it.
struct Paper {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> lines;
  bool stuck = false;

  void let_go() {
    const std::lock_guard lock(mutex);
    stuck = false;
    changed.notify_all();
  }
  // Waits until there are so many.
  std::vector<std::string> read(std::size_t count) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(60), [&] { return lines.size() >= count; });
    return lines;
  }
};

class Writer : public proxy::Log {
 public:
  explicit Writer(std::shared_ptr<Paper> to) : to_(std::move(to)) {}

  void write(const proxy::Record& record) override {
    std::unique_lock lock(to_->mutex);
    to_->changed.wait(lock, [&] { return !to_->stuck; });
    to_->lines.push_back(proxy::to_text(record));
    to_->changed.notify_all();
  }

 private:
  std::shared_ptr<Paper> to_;
};

}  // namespace

TEST_CASE("records are written in order, from their level on", "[log]") {
  const auto paper = std::make_shared<Paper>();
  {
    BackgroundLog log(Level::info, std::make_unique<Writer>(paper));
    log.line(Level::debug, "unseen");
    for (int i = 0; i < 100; ++i) log.line(Level::info, "seen").with("number", i);
  }
  REQUIRE(paper->lines.size() == 100);
  CHECK(paper->lines.front() == "seen number=0");
  CHECK(paper->lines.back() == "seen number=99");
}

TEST_CASE("a log that does not take records loses those beyond its bound", "[log]") {
  const auto paper = std::make_shared<Paper>();
  paper->stuck = true;
  BackgroundLog log(Level::info, std::make_unique<Writer>(paper));
  const std::string text(1000, 'x');
  constexpr std::size_t kRecords = 5000;
  for (std::size_t i = 0; i < kRecords; ++i) log.line(Level::info, "flood").with("text", text);
  CHECK(paper->lines.empty());
  paper->let_go();
  const std::size_t kept = BackgroundLog::kMostQueued / (128 + 64 + text.size());
  auto lines = paper->read(kept + 1);
  // One more where the thread had taken one before the queue was full.
  REQUIRE(lines.size() >= kept + 1);
  if (!lines.back().starts_with("log-lost")) lines = paper->read(kept + 2);
  CHECK(lines.back() == "log-lost count=" + std::to_string(kRecords - (lines.size() - 1)));
  log.line(Level::info, "again");
  CHECK(paper->read(lines.size() + 1).back() == "again");
}

TEST_CASE("the end does not wait for a log that takes nothing", "[log]") {
  const auto paper = std::make_shared<Paper>();
  paper->stuck = true;
  auto log = std::make_unique<BackgroundLog>(Level::info, std::make_unique<Writer>(paper));
  log->line(Level::info, "never");
  log.reset();
  CHECK(paper->lines.empty());
  paper->let_go();
  CHECK(paper->read(1).size() == 1);
}
