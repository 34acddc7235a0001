// Keeps the log of steady work small. What comes again and again, such as an exporter that opens
// each quarter of a minute, is said when it comes first; what is the same within the hour is only
// counted, and the count said at its end. As debugging it is all there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "proxy/record/log.h"
#include "tunnel/io/clock.h"

namespace proxy {

class Repeats final : public Log {
 public:
  static constexpr tunnel::io::Milliseconds kWhile{3600000};
  // Different records that are remembered; more of them are said as they come.
  static constexpr std::size_t kMost = 1000;

  // Clock and `next` outlive this.
  Repeats(tunnel::io::Clock& clock, Log& next);
  Repeats(const Repeats&) = delete;
  Repeats& operator=(const Repeats&) = delete;
  ~Repeats() override = default;

  void write(const Record& record) override;
  // Says what has been counted, and begins anew.
  void say();

 private:
  struct Seen {
    Record told;  // the event's name, and what makes a record the same
    std::int64_t again = 0;
    std::int64_t suppressed = 0;  // by the audit, before those that came again
  };

  Log& next_;
  std::map<std::string, Seen> seen_;
  tunnel::io::Timer timer_;
};

}  // namespace proxy
