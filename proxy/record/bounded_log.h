// A log in which the records about one user take no more of the disk than a share: see
// daily_shares.h. What concerns no user is not bounded here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <sys/types.h>

#include "proxy/record/daily_shares.h"
#include "proxy/record/log.h"
#include "tunnel/io/clock.h"

namespace proxy {

class BoundedLog final : public Log {
 public:
  // Clock and `next` outlive this. `a_day`: bytes of one user.
  BoundedLog(tunnel::io::Clock& clock, Log& next, std::uint64_t a_day)
      : clock_(clock), next_(next), shares_(a_day) {}
  BoundedLog(const BoundedLog&) = delete;
  BoundedLog& operator=(const BoundedLog&) = delete;
  ~BoundedLog() override = default;

  void set_share(std::uint64_t a_day) { shares_.set(a_day); }
  [[nodiscard]] const DailyShares& shares() const { return shares_; }

  void write(const Record& record) override;
  [[nodiscard]] bool takes(Level level) const override { return next_.takes(level); }
  [[nodiscard]] std::uint64_t lost() const override { return next_.lost(); }

 private:
  tunnel::io::Clock& clock_;
  Log& next_;
  DailyShares shares_;
};

// Says in `log`, once for each user and while, that records about the user are dropped. `of`: "log"
// or "audit".
void say_share_spent(Log& log, std::string_view of, uid_t uid, const DailyShares& shares);

// Whom a record is about; nothing: nobody.
std::optional<uid_t> user_of(const Record& record);

}  // namespace proxy
