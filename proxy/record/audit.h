// The record of what clients did and were refused: on its way to the log, and as lines of JSON in a
// file. Contents of calls and answers are never in it.
//
// One user's records of one event are bounded: those above the bound are counted, and the count is
// in the user's next one, or comes after a while. So refusals hide no open, and opens of one target
// not the first one of another.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "conf/values.h"
#include "proxy/record/log.h"
#include "tunnel/io/clock.h"

namespace proxy {

// Where lines go; each ends with its end of line. False: this one is lost.
using AuditSink = std::function<bool(const std::string& line)>;

// Names of users, to stand beside their numbers.
using UserNames = std::map<uid_t, std::string>;

class Audit final : public Log {
 public:
  static constexpr std::int64_t kBurst = 500;  // records of one user and event at once
  static constexpr std::int64_t kRate = 50;    // and each second after that
  // Targets of one user whose first open is always written, until the user is forgotten.
  static constexpr std::size_t kMostFirst = 64;
  static constexpr tunnel::io::Milliseconds kSay{10000};

  // Clock and `next` outlive this. All records go to `next`; those of clients to `sink` too, if it
  // is there. With `calls` each call is a record, for the sink alone.
  Audit(tunnel::io::Clock& clock, Log& next, UserNames names, AuditSink sink, bool calls);
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;
  ~Audit() override = default;

  // Replaces the constructor's `sink` and `calls`.
  void redirect(AuditSink sink, bool calls);
  void write(const Record& record) override;
  // Says how many records were left out since this was last said; it happens by itself within kSay.
  // Also forgets users who have made no records for long.
  void say_suppressed();
  [[nodiscard]] bool wants_calls() const override { return calls_ && sink_ != nullptr; }

 private:
  // A bucket of records, in thousandths, that fills by itself.
  struct Bucket {
    std::int64_t credit = 1000 * kBurst;
    tunnel::io::Milliseconds at{0};
    std::int64_t suppressed = 0;
    std::set<std::string> opened;  // targets
  };

  using Key = std::pair<uid_t, std::string_view>;  // and the event, which is a literal

  bool may_write(const Key& key, const Record& record, std::int64_t& suppressed);
  void emit(const Record& record);

  tunnel::io::Clock& clock_;
  Log& next_;
  const UserNames names_;
  AuditSink sink_;
  bool calls_;
  bool lost_ = false;
  std::map<Key, Bucket> buckets_;
  tunnel::io::Timer timer_;
};

// A record as one JSON object with its end of line; `time` in milliseconds since 1970.
std::string to_json(const Record& record, std::int64_t time);

// Appends to a regular file, which is made if need be; the error says why it cannot be.
base::Result<AuditSink, std::string> open_audit_file(const std::string& path);

// Where `audit` says; null, without an error: nowhere.
base::Result<AuditSink, std::string> audit_sink(const conf::AuditConfig& audit);

// From /etc/passwd alone: other databases can take long to answer.
UserNames local_user_names();

}  // namespace proxy
