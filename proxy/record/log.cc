#include "proxy/record/log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-journal.h>

#include "base/text.h"
#include "proxy/record/background_log.h"
#include "proxy/record/system_log.h"

namespace proxy {
namespace {

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"='") != std::string_view::npos;
}

void append_value(std::string& to, const LogField& field) {
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

// Past stdio, whose lock a full pipe would hold against the end of the process.
class StderrSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string_view rest(line.data(), line.size());
    while (!rest.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written > 0) {
        rest.remove_prefix(static_cast<std::size_t>(written));
      } else if (written < 0 && errno == EAGAIN) {
        pollfd room{STDERR_FILENO, POLLOUT, 0};
        ::poll(&room, 1, -1);
      } else if (written == 0 || errno != EINTR) {
        return;
      }
    }
  }

  void flush_() override {}
};

class StderrLog : public Log {
 public:
  StderrLog() : logger_("virtgate", std::make_shared<StderrSink>()) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger_.set_level(spdlog::level::debug);
  }

  void write(const Record& record) override {
    const std::string text = to_text(record);
    logger_.log(record.time, {}, to_spdlog(record.level),
                spdlog::string_view_t(text.data(), text.size()));
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

int syslog_priority(Level level) {
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

class SyslogLog : public Log {
 public:
  void write(const Record& record) override {
    ::syslog(LOG_DAEMON | syslog_priority(record.level), "virtgate[%d]: %s",
             static_cast<int>(::getpid()), to_text(record).c_str());
  }
};

// systemd.journal-fields(7): names are of capital letters, digits and underscores.
class JournalLog : public Log {
 public:
  void write(const Record& record) override {
    std::vector<std::string> texts;
    texts.push_back("MESSAGE=" + to_text(record));
    texts.push_back("PRIORITY=" + std::to_string(syslog_priority(record.level)));
    texts.emplace_back("SYSLOG_IDENTIFIER=virtgate");
    texts.push_back("VIRTGATE_EVENT=" + std::string(record.event));
    for (const LogField& field : record.fields) {
      std::string text = "VIRTGATE_";
      for (const char c : field.key) text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      texts.push_back(text + "=" + base::printable(field.text, 4096));
    }
    std::vector<iovec> pieces;
    pieces.reserve(texts.size());
    for (std::string& text : texts) pieces.push_back({text.data(), text.size()});
    sd_journal_sendv(pieces.data(), static_cast<int>(pieces.size()));
  }
};

}  // namespace

// JOURNAL_STREAM names the device and inode of what leads to the journal (systemd.exec(5)).
bool stderr_leads_to_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status = {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return std::string(stream) == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

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

const LogField* Record::find(std::string_view key) const {
  const auto found = std::ranges::find(fields, key, &LogField::key);
  return found == fields.end() ? nullptr : &*found;
}

std::string to_text(const Record& record) {
  std::string text(record.event);
  for (const LogField& field : record.fields) {
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
  if (peer.subordinate) line.with("subuid", static_cast<std::int64_t>(*peer.subordinate));
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
  std::unique_ptr<Log> to;
  if (stderr_leads_to_journal()) {
    to = std::make_unique<JournalLog>();
  } else {
    to = std::make_unique<StderrLog>();
  }
  return std::make_unique<BackgroundLog>(least, std::move(to));
}

// libsystemd says nothing when there is no journal.
std::unique_ptr<Log> make_system_log(Level least) {
  std::unique_ptr<Log> to;
  if (::access("/run/systemd/journal/socket", W_OK) == 0) {
    to = std::make_unique<JournalLog>();
  } else {
    to = std::make_unique<SyslogLog>();
  }
  return std::make_unique<BackgroundLog>(least, std::move(to));
}

}  // namespace proxy
