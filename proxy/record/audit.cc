#include "proxy/record/audit.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

namespace proxy {

using tunnel::io::Milliseconds;

namespace {

constexpr std::int64_t kRecord = 1000;
constexpr std::string_view kCall = "call";
constexpr std::string_view kOpen = "open";

std::int64_t now_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Milliseconds>(now).count();
}

}  // namespace

Audit::Audit(tunnel::io::Clock& clock, Log& next, UserNames names, AuditSink sink, bool calls)
    : clock_(clock),
      next_(next),
      names_(std::move(names)),
      sink_(std::move(sink)),
      calls_(calls),
      timer_(clock, [this] { say_suppressed(); }) {}

void Audit::redirect(AuditSink sink, bool calls) {
  sink_ = std::move(sink);
  calls_ = calls;
  lost_ = false;
}

void Audit::write(const Record& record) {
  const LogField* uid = record.find("uid");
  if (!record.audit || uid == nullptr) return next_.write(record);
  std::int64_t suppressed = 0;
  const auto number = static_cast<uid_t>(std::strtoul(uid->text.c_str(), nullptr, 10));
  if (!may_write({number, record.event}, record, suppressed)) return;
  Record out = record;
  if (const auto name = names_.find(number); name != names_.end()) {
    out.fields.push_back({"user", name->second, false});
  }
  if (suppressed > 0) out.fields.push_back({"suppressed", std::to_string(suppressed), true});
  emit(out);
}

void Audit::emit(const Record& record) {
  if (record.event != kCall) next_.write(record);
  if (sink_ == nullptr) return;
  const bool lost = !sink_(to_json(record, now_since_1970()));
  if (lost && !lost_) {
    next_.line(Level::error, "audit-lost")
        .with("reason", std::string("cannot write to the audit file: ") + std::strerror(errno));
  }
  lost_ = lost;
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
      emit(record);
    }
    const bool full = (now - bucket.at).count() * kRate >= kRecord * kBurst;
    entry = full ? buckets_.erase(entry) : std::next(entry);
  }
  if (!buckets_.empty()) timer_.start(kSay);
}

std::string to_json(const Record& record, std::int64_t time) {
  const std::chrono::sys_time<Milliseconds> at{Milliseconds(time)};
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

base::Result<AuditSink, std::string> open_audit_file(const std::string& path) {
  const auto wrong = [&](const std::string& why) {
    return base::Failure{"the audit file " + base::printable(path, 4096) + " " + why};
  };
  const int fd = ::open(path.c_str(),
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0640);
  if (fd < 0) return wrong(std::string("cannot be opened: ") + std::strerror(errno));
  struct File {
    explicit File(int own) : fd(own) {}
    base::Fd fd;
    bool torn = false;  // the last line has no end
  };
  auto file = std::make_shared<File>(fd);
  struct stat status = {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return wrong("is not a regular file");
  return AuditSink([file](const std::string& line) {
    const std::string text = file->torn ? '\n' + line : line;
    const ssize_t written = ::write(file->fd.get(), text.data(), text.size());
    if (written > 0) file->torn = text[static_cast<std::size_t>(written) - 1] != '\n';
    return written == static_cast<ssize_t>(text.size());
  });
}

base::Result<AuditSink, std::string> audit_sink(const conf::AuditConfig& audit) {
  if (audit.file.empty()) return AuditSink();
  return open_audit_file(audit.file);
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
