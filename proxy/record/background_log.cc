#include "proxy/record/background_log.h"

#include <utility>

namespace proxy {
namespace {

// The fields, and about what a record costs beside them.
std::size_t cost(const Record& record) {
  std::size_t bytes = 128;
  for (const LogField& field : record.fields) bytes += 64 + field.text.size();
  return bytes;
}

class LogPen final : public Pen<Record> {
 public:
  explicit LogPen(std::unique_ptr<Log> to) : to_(std::move(to)) {}

  Losses write(const Record& record) override {
    to_->write(record);
    return {};
  }
  bool say_lost(std::uint64_t count) override {
    Record record{Level::warning, "log-lost", false, {}};
    record.fields.push_back({"count", std::to_string(count), true});
    to_->write(record);
    return true;
  }

 private:
  const std::unique_ptr<Log> to_;
};

}  // namespace

BackgroundLog::BackgroundLog(Level least, std::unique_ptr<Log> to)
    : least_(least), writer_(std::make_unique<LogPen>(std::move(to)), kMostQueued) {}

BackgroundLog::~BackgroundLog() { writer_.finish(kLastWords); }

void BackgroundLog::write(const Record& record) {
  if (takes(record.level)) writer_.put(record, cost(record));
}

}  // namespace proxy
