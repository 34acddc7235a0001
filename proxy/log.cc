#include "proxy/log.h"

#include <cstdlib>
#include <utility>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace proxy {
namespace {

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"='") != std::string_view::npos;
}

class StderrLog : public Log {
 public:
  explicit StderrLog(Level least)
      : logger_("virtgate", std::make_shared<spdlog::sinks::stderr_sink_st>()) {
    const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    logger_.set_pattern(journal ? "%l %v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger_.set_level(to_spdlog(least));
  }

  void write(Level level, std::string_view text) override {
    logger_.log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
  }

 private:
  static spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
      case Level::debug:
        return spdlog::level::debug;
      case Level::info:
        return spdlog::level::info;
      case Level::warning:
        return spdlog::level::warn;
      case Level::error:
        break;
    }
    return spdlog::level::err;
  }

  spdlog::logger logger_;
};

}  // namespace

Line Log::line(Level level, std::string_view event) { return Line(*this, level, event); }

Line::Line(Log& log, Level level, std::string_view event)
    : log_(&log), level_(level), text_(event) {}

Line::Line(Line&& other) noexcept
    : log_(std::exchange(other.log_, nullptr)),
      level_(other.level_),
      text_(std::move(other.text_)) {}

Line::~Line() {
  if (log_ != nullptr) log_->write(level_, text_);
}

Line& Line::with(std::string_view key, std::string_view value) {
  const std::string shown = base::printable(value);
  text_.append(" ").append(key).append("=");
  if (!needs_quotes(shown)) {
    text_ += shown;
    return *this;
  }
  text_ += '"';
  for (const char c : shown) {
    if (c == '"') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
  return *this;
}

Line& Line::with(std::string_view key, std::int64_t value) {
  text_.append(" ").append(key).append("=").append(std::to_string(value));
  return *this;
}

std::unique_ptr<Log> make_stderr_log(Level least) { return std::make_unique<StderrLog>(least); }

}  // namespace proxy
