// What the operator reads: one line an occurrence, in key=value pairs. Foreign text in it is made
// printable here, so that no caller can forget it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace proxy {

enum class Level : std::uint8_t { debug, info, warning, error };

class Line;

class Log {
 public:
  virtual ~Log() = default;
  // `text` is printable and has no end of line.
  virtual void write(Level level, std::string_view text) = 0;

  // Begins a line about `event`; it is written when the Line goes.
  Line line(Level level, std::string_view event);
};

// Keys are ours; values may be foreign. Values with blanks, quotes or nothing in them are put in
// double quotes.
class Line {
 public:
  Line(Log& log, Level level, std::string_view event);
  Line(Line&& other) noexcept;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line();

  Line& with(std::string_view key, std::string_view value);
  Line& with(std::string_view key, std::int64_t value);

 private:
  Log* log_;  // null: moved away
  Level level_;
  std::string text_;
};

// Plain lines on standard error, with the time unless the journal adds it.
std::unique_ptr<Log> make_stderr_log(Level least);

}  // namespace proxy
