#include "proxy/record/bounded_log.h"

#include <cstdlib>
#include <string_view>

namespace proxy {
namespace {

constexpr std::string_view kOpen = "open";
constexpr std::string_view kShareSpent = "share-spent";

// Of its text, with the time and the level.
std::size_t size_of(const Record& record) {
  std::size_t bytes = 40 + record.event.size();
  for (const LogField& field : record.fields) bytes += 4 + field.key.size() + field.text.size();
  return bytes;
}

}  // namespace

std::optional<uid_t> user_of(const Record& record) {
  const LogField* uid = record.find("uid");
  if (uid == nullptr) return std::nullopt;
  return static_cast<uid_t>(std::strtoul(uid->text.c_str(), nullptr, 10));
}

void BoundedLog::write(const Record& record) {
  const auto user = user_of(record);
  // That a share is spent is said seldom, whatever other share that is.
  const bool free = !user || record.event == kShareSpent;
  if (free || !next_.takes(record.level)) return next_.write(record);
  switch (shares_.take(*user, size_of(record), record.event == kOpen, clock_.now())) {
    case DailyShares::Taken::yes:
      return next_.write(record);
    case DailyShares::Taken::no_more:
      return say_share_spent(next_, "log", *user, shares_);
    case DailyShares::Taken::no:
      return;
  }
}

void say_share_spent(Log& log, std::string_view of, uid_t uid, const DailyShares& shares) {
  log.line(Level::warning, kShareSpent)
      .with("of", of)
      .with("uid", static_cast<std::int64_t>(uid))
      .with("bytes_a_day", static_cast<std::int64_t>(shares.a_day()));
}

}  // namespace proxy
