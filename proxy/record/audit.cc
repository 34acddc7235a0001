#include "proxy/record/audit.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>
#include <pwd.h>

#include "base/fd.h"
#include "base/text.h"
#include "proxy/record/bounded_log.h"

namespace proxy {

using tunnel::io::Milliseconds;

namespace {

constexpr std::int64_t kRecord = 1000;
constexpr std::string_view kCall = "call";
constexpr std::string_view kOpen = "open";

}  // namespace

Audit::Audit(tunnel::io::Clock& clock, Log& next, UserNames names, std::shared_ptr<AuditSink> sink,
             bool calls, std::uint64_t a_day)
    : clock_(clock),
      next_(next),
      names_(std::move(names)),
      sink_(std::move(sink)),
      calls_(calls),
      shares_(a_day),
      timer_(clock, [this] { say_suppressed(); }),
      look_(clock, [this] { say_lost(); }) {}

void Audit::redirect(std::shared_ptr<AuditSink> sink, bool calls) {
  say_lost();
  lost_before_ = lost();
  sink_ = std::move(sink);
  calls_ = calls;
  said_lost_ = sink_ == nullptr ? 0 : sink_->lost().count;
  lost_before_ -= said_lost_;
}

void Audit::write(const Record& record) {
  const auto user = user_of(record);
  if (!record.audit || !user) return next_.write(record);
  std::int64_t suppressed = 0;
  if (!may_write({*user, record.event}, record, suppressed)) return;
  Record out = record;
  if (const auto name = names_.find(*user); name != names_.end()) {
    out.fields.push_back({"user", name->second, false});
  }
  if (suppressed > 0) out.fields.push_back({"suppressed", std::to_string(suppressed), true});
  emit(out, *user);
}

void Audit::emit(const Record& record, uid_t user) {
  if (record.event != kCall) next_.write(record);
  if (sink_ == nullptr) return;
  std::string line = to_json(record);
  if (!has_share(user, record, line.size())) return;
  sink_->put(std::move(line));
  if (!look_.running()) look_.start(kLook);
}

bool Audit::has_share(uid_t user, const Record& record, std::size_t bytes) {
  const auto taken = shares_.take(user, bytes, record.event == kOpen, clock_.now());
  if (taken == DailyShares::Taken::no_more) say_share_spent(next_, "audit", user, shares_);
  return taken == DailyShares::Taken::yes;
}

void Audit::say_lost() {
  if (sink_ == nullptr) return;
  const bool idle = sink_->idle();
  const Losses lost = sink_->lost();
  const std::uint64_t more = lost.count - std::exchange(said_lost_, lost.count);
  if (more > 0) {
    next_.line(Level::error, "audit-lost")
        .with("count", static_cast<std::int64_t>(more))
        .with("reason", lost.error == 0
                            ? std::string("the audit file does not take so many so fast")
                            : "cannot write to the audit file: " + base::system_words(lost.error));
    look_.start(kSay);
  } else if (!idle) {
    look_.start(kLook);
  }
}

void Audit::finish() {
  if (sink_ != nullptr) sink_->finish();
  say_lost();
  look_.stop();
}

std::uint64_t Audit::lost() const {
  return lost_before_ + (sink_ == nullptr ? 0 : sink_->lost().count);
}

bool Audit::may_write(const Key& key, const Record& record, std::int64_t& suppressed) {
  const Milliseconds now = clock_.now();
  Bucket& bucket = buckets_.try_emplace(key, Bucket{kRecord * kBurst, now, 0, {}}).first->second;
  const std::int64_t passed = std::min<std::int64_t>((now - bucket.at).count(), 3600000);
  bucket.credit = std::min(kRecord * kBurst, bucket.credit + passed * kRate);
  bucket.at = now;
  const LogField* target = record.event == kOpen ? record.find("target") : nullptr;
  const bool first = target != nullptr && bucket.opened.size() < kMostFirst &&
                     bucket.opened.insert(target->text).second;
  if (bucket.credit < kRecord && !first) {
    ++bucket.suppressed;
    if (!timer_.running()) timer_.start(kSay);
    return false;
  }
  bucket.credit = std::max<std::int64_t>(0, bucket.credit - kRecord);
  suppressed = std::exchange(bucket.suppressed, 0);
  return true;
}

void Audit::say_suppressed() {
  const Milliseconds now = clock_.now();
  for (auto entry = buckets_.begin(); entry != buckets_.end();) {
    auto& [key, bucket] = *entry;
    if (const std::int64_t count = std::exchange(bucket.suppressed, 0); count > 0) {
      Record record{Level::warning, "suppressed", true, {}};
      record.fields.push_back({"uid", std::to_string(key.first), true});
      record.fields.push_back({"record", std::string(key.second), false});
      record.fields.push_back({"suppressed", std::to_string(count), true});
      emit(record, key.first);
    }
    const bool full = (now - bucket.at).count() * kRate >= kRecord * kBurst;
    entry = full ? buckets_.erase(entry) : std::next(entry);
  }
  if (!buckets_.empty()) timer_.start(kSay);
}

std::string to_json(const Record& record) {
  const auto at = std::chrono::floor<Milliseconds>(record.time);
  const auto second = std::chrono::floor<std::chrono::seconds>(at);
  nlohmann::ordered_json out;
  out["time"] =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                  fmt::gmtime(std::chrono::system_clock::to_time_t(second)), (at - second).count());
  out["level"] = level_name(record.level);
  out["event"] = record.event;
  for (const LogField& field : record.fields) {
    if (field.number) {
      out[std::string(field.key)] = std::strtoll(field.text.c_str(), nullptr, 10);
    } else {
      out[std::string(field.key)] = base::printable(field.text, 4096);
    }
  }
  return out.dump() + "\n";
}

UserNames local_user_names() {
  UserNames names;
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/etc/passwd", "re"), std::fclose);
  if (file == nullptr) return names;
  while (const passwd* entry = fgetpwent(file.get()))
    names.try_emplace(entry->pw_uid, entry->pw_name);
  return names;
}

}  // namespace proxy
