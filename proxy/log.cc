#include "proxy/log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-journal.h>

#include "base/text.h"

namespace proxy {
namespace {

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"='") != std::string_view::npos;
}

void append_value(std::string& to, const Field& field) {
  if (field.number) {
    to += field.text;
    return;
  }
  const std::string shown = base::printable(field.text);
  if (!needs_quotes(shown)) {
    to += shown;
    return;
  }
  to += '"';
  for (const char c : shown) {
    if (c == '"') to += '\\';
    to += c;
  }
  to += '"';
}

class StderrLog : public Log {
 public:
  explicit StderrLog(Level least)
      : logger_("virtgate", std::make_shared<spdlog::sinks::stderr_sink_st>()) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger_.set_level(to_spdlog(least));
  }

  void write(const Record& record) override {
    const spdlog::level::level_enum level = to_spdlog(record.level);
    if (!logger_.should_log(level)) return;
    const std::string text = to_text(record);
    logger_.log(level, spdlog::string_view_t(text.data(), text.size()));
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

// systemd.journal-fields(7): names are of capital letters, digits and underscores.
class JournalLog : public Log {
 public:
  explicit JournalLog(Level least) : least_(least) {}

  void write(const Record& record) override {
    if (record.level < least_) return;
    std::vector<std::string> texts;
    texts.push_back("MESSAGE=" + to_text(record));
    texts.push_back("PRIORITY=" + std::to_string(priority(record.level)));
    texts.emplace_back("SYSLOG_IDENTIFIER=virtgate");
    texts.push_back("VIRTGATE_EVENT=" + std::string(record.event));
    for (const Field& field : record.fields) {
      std::string text = "VIRTGATE_";
      for (const char c : field.key) text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      texts.push_back(text + "=" + base::printable(field.text, 4096));
    }
    std::vector<iovec> pieces;
    pieces.reserve(texts.size());
    for (std::string& text : texts) pieces.push_back({text.data(), text.size()});
    sd_journal_sendv(pieces.data(), static_cast<int>(pieces.size()));
  }

 private:
  static int priority(Level level) {
    switch (level) {
      case Level::debug:
        return LOG_DEBUG;
      case Level::info:
        return LOG_INFO;
      case Level::warning:
        return LOG_WARNING;
      case Level::error:
        break;
    }
    return LOG_ERR;
  }

  Level least_;
};

// JOURNAL_STREAM names the device and inode of what leads to the journal (systemd.exec(5)).
bool stderr_leads_to_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status = {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return std::string(stream) == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

}  // namespace

std::string_view level_name(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      break;
  }
  return "error";
}

const Field* Record::find(std::string_view key) const {
  const auto found = std::ranges::find(fields, key, &Field::key);
  return found == fields.end() ? nullptr : &*found;
}

std::string to_text(const Record& record) {
  std::string text(record.event);
  for (const Field& field : record.fields) {
    text.append(" ").append(field.key).append("=");
    append_value(text, field);
  }
  return text;
}

Line Log::line(Level level, std::string_view event) { return {*this, {level, event, false, {}}}; }

Line Log::audit(Level level, std::string_view event) { return {*this, {level, event, true, {}}}; }

Line::Line(Line&& other) noexcept
    : log_(std::exchange(other.log_, nullptr)), record_(std::move(other.record_)) {}

Line::~Line() {
  if (log_ != nullptr) log_->write(record_);
}

Line Log::audit(Level level, std::string_view event, std::int64_t client,
                const tunnel::io::Peer& peer) {
  Line line = audit(level, event);
  line.with("client", client)
      .with("uid", static_cast<std::int64_t>(peer.uid))
      .with("pid", static_cast<std::int64_t>(peer.pid));
  if (!peer.program.empty()) line.with("program", peer.program);
  return line;
}

Line& Line::with(std::string_view key, std::string_view value) {
  record_.fields.push_back({key, std::string(value), false});
  return *this;
}

Line& Line::with(std::string_view key, std::int64_t value) {
  record_.fields.push_back({key, std::to_string(value), true});
  return *this;
}

std::unique_ptr<Log> make_log(Level least) {
  if (stderr_leads_to_journal()) return std::make_unique<JournalLog>(least);
  return std::make_unique<StderrLog>(least);
}

}  // namespace proxy
