// The record of what clients did and were refused: on its way to the log, and as lines of JSON in a
// file (audit_file.h). Contents of calls and answers are never in it.
//
// One user's records of one event are bounded: those above the bound are counted, and the count is
// in the user's next one, or comes after a while. So refusals hide no open, and opens of one target
// not the first one of another.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "proxy/record/audit_file.h"
#include "proxy/record/daily_shares.h"
#include "proxy/record/log.h"
#include "tunnel/io/clock.h"

namespace proxy {

// Names of users, to stand beside their numbers.
using UserNames = std::map<uid_t, std::string>;

class Audit final : public Log {
 public:
  static constexpr std::int64_t kBurst = 500;  // records of one user and event at once
  static constexpr std::int64_t kRate = 50;    // and each second after that
  // Targets of one user whose first open is always written, until the user is forgotten.
  static constexpr std::size_t kMostFirst = 64;
  static constexpr tunnel::io::Milliseconds kSay{10000};
  // After a record was put into the sink it is asked this much later whether any were lost.
  static constexpr tunnel::io::Milliseconds kLook{1000};

  // Clock and `next` outlive this. All records go to `next`; those of clients to `sink` too, if it
  // is there. With `calls` each call is a record, for the sink alone.
  // `a_day`: bytes that the sink gets about one user (daily_shares.h).
  Audit(tunnel::io::Clock& clock, Log& next, UserNames names, std::shared_ptr<AuditSink> sink,
        bool calls, std::uint64_t a_day);
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;
  ~Audit() override = default;

  // Replaces the constructor's `sink` and `calls`.
  void redirect(std::shared_ptr<AuditSink> sink, bool calls);
  void write(const Record& record) override;
  void set_share(std::uint64_t a_day) { shares_.set(a_day); }
  [[nodiscard]] const DailyShares& shares() const { return shares_; }
  // Says how many records were left out since this was last said; it happens by itself within kSay.
  // Also forgets users who have made no records for long.
  void say_suppressed();
  // Says what the sink has lost. Called by itself.
  void say_lost();
  // Lets the sink write what it has, for a little while. Only say_lost() may be called after it.
  void finish();
  [[nodiscard]] bool wants_calls() const override { return calls_ && sink_ != nullptr; }
  // Of all sinks.
  [[nodiscard]] std::uint64_t lost() const override;

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
  void emit(const Record& record, uid_t user);
  [[nodiscard]] bool has_share(uid_t user, const Record& record, std::size_t bytes);

  tunnel::io::Clock& clock_;
  Log& next_;
  const UserNames names_;
  std::shared_ptr<AuditSink> sink_;
  bool calls_;
  DailyShares shares_;
  std::uint64_t lost_before_ = 0;  // by sinks that were here before this one
  std::uint64_t said_lost_ = 0;    // of those that this sink has lost
  std::map<Key, Bucket> buckets_;
  tunnel::io::Timer timer_;
  tunnel::io::Timer look_;
};

// A record as one JSON object with its end of line.
std::string to_json(const Record& record);

// From /etc/passwd alone: other databases can take long to answer.
UserNames local_user_names();

}  // namespace proxy
