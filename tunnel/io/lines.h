// Cuts what a child writes to its standard error into lines, and does not let it flood the log. An
// engine.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "tunnel/io/clock.h"

namespace tunnel::io {

class Lines {
 public:
  static constexpr std::size_t kMaxLength = 4096;    // of a line; the rest of it is dropped
  static constexpr std::size_t kMaxPerSecond = 100;  // the rest is counted, and the count is told

  // `line` gets each without its newline, and without a carriage return before that; empty ones are
  // dropped. It must not destroy the object.
  Lines(Clock& clock, std::function<void(std::string_view line)> line);

  void feed(base::Bytes data);
  // Nothing follows: what has no newline is a line too, and what was left out is told now.
  void finish();

  // The last line, told or not, cut to what fits into an error message.
  [[nodiscard]] const std::string& last() const { return last_; }

 private:
  void complete();
  void tell_left_out();

  std::function<void(std::string_view)> line_;
  std::string current_;
  std::string last_;
  std::size_t told_ = 0;
  std::size_t left_out_ = 0;
  Timer second_;
};

}  // namespace tunnel::io
