// What the operator reads: one record an occurrence, made of an event's name and fields. Foreign
// text in it is made printable by the log itself, so that no caller can forget it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tunnel/io/peer.h"

namespace proxy {

enum class Level : std::uint8_t { debug, info, warning, error };

// "debug", "info", "warning", "error".
std::string_view level_name(Level level);

struct LogField {
  std::string_view key;  // a literal
  std::string text;      // may be foreign
  bool number = false;
};

struct Record {
  Level level = Level::info;
  std::string_view event;  // a literal
  bool audit = false;      // says what a client did or was refused; uid is among the fields
  std::vector<LogField> fields;
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();

  // Null when there is no such field.
  [[nodiscard]] const LogField* find(std::string_view key) const;
};

// "event key=value key="another value"": one line, printable.
std::string to_text(const Record& record);

class Line;

class Log {
 public:
  virtual ~Log() = default;
  virtual void write(const Record& record) = 0;
  // Whether each call of each client is worth a record.
  [[nodiscard]] virtual bool wants_calls() const { return false; }
  // Whether records of this level are written.
  [[nodiscard]] virtual bool takes(Level level) const {
    static_cast<void>(level);
    return true;
  }
  // Records that could not be written.
  [[nodiscard]] virtual std::uint64_t lost() const { return 0; }

  // Begins a record about `event`; it is written when the Line goes.
  Line line(Level level, std::string_view event);
  Line audit(Level level, std::string_view event);
  // One about what a client did.
  Line audit(Level level, std::string_view event, std::int64_t client,
             const tunnel::io::Peer& peer);
};

class Line {
 public:
  Line(Log& log, Record record) : log_(&log), record_(std::move(record)) {}
  Line(Line&& other) noexcept;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line();

  Line& with(std::string_view key, std::string_view value);
  Line& with(std::string_view key, std::int64_t value);

 private:
  Log* log_;  // null: moved away
  Record record_;
};

// Whether the journal reads standard error.
bool stderr_leads_to_journal();

// To the journal, with the fields as fields, where standard error leads there; else plain lines on
// standard error, with the time. Either way nobody waits for it: see background_log.h.
std::unique_ptr<Log> make_log(Level least);

}  // namespace proxy
