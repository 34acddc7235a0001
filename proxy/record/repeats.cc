#include "proxy/record/repeats.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace proxy {
namespace {

constexpr std::array<std::string_view, 7> kEvents = {
    "open", "close", "refused", "upstream-open", "upstream-lost", "upstream-failed", "tunnel"};
// Of one record of many that say the same.
constexpr std::array<std::string_view, 9> kOfOne = {
    "client", "pid", "calls", "refused", "bytes_in", "bytes_out", "ms", "in_flight", "suppressed"};

Record without_what_is_of_one(const Record& record) {
  Record out{record.level, record.event, false, {}};
  for (const LogField& field : record.fields) {
    if (std::ranges::find(kOfOne, field.key) == kOfOne.end()) out.fields.push_back(field);
  }
  return out;
}

}  // namespace

Repeats::Repeats(tunnel::io::Clock& clock, Log& next)
    : next_(next), timer_(clock, [this] { say(); }) {}

void Repeats::write(const Record& record) {
  if (record.level == Level::debug || std::ranges::find(kEvents, record.event) == kEvents.end()) {
    return next_.write(record);
  }
  Record same = without_what_is_of_one(record);
  std::string key = to_text(same);
  const auto known = seen_.find(key);
  if (known != seen_.end()) {
    ++known->second.again;
    if (const LogField* suppressed = record.find("suppressed")) {
      known->second.suppressed += std::strtoll(suppressed->text.c_str(), nullptr, 10);
    }
    Record quiet = record;
    quiet.level = Level::debug;
    return next_.write(quiet);
  }
  next_.write(record);
  if (seen_.size() >= kMost) return;
  if (!timer_.running()) timer_.start(kWhile);
  seen_.emplace(std::move(key), Seen{std::move(same)});
}

void Repeats::say() {
  timer_.stop();
  for (auto& [key, seen] : std::exchange(seen_, {})) {
    if (seen.again == 0) continue;
    Record record{seen.told.level, "repeated", false, {}};
    record.fields.push_back({"record", std::string(seen.told.event), false});
    record.fields.push_back({"times", std::to_string(seen.again), true});
    std::ranges::move(seen.told.fields, std::back_inserter(record.fields));
    if (seen.suppressed > 0) {
      record.fields.push_back({"suppressed", std::to_string(seen.suppressed), true});
    }
    next_.write(record);
  }
}

}  // namespace proxy
