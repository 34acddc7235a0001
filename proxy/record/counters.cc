#include "proxy/record/counters.h"

#include <algorithm>
#include <numeric>

#include "base/text.h"

namespace proxy {

using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

constexpr std::size_t kLongestName = 125;

constexpr std::array<std::string_view, 3> kFates = {"passed", "answered", "refused"};
constexpr std::array<std::string_view, 6> kRefusals = {"policy", "rule",  "name",
                                                       "order",  "limit", "target"};
constexpr std::array<std::string_view, 3> kAmendments = {"secure-omitted", "statistics-kept",
                                                         "pretended"};
constexpr std::array<std::string_view, 4> kOutcomes = {"ok", "error", "failed", "timeout"};

}  // namespace

template <>
std::span<const std::string_view, 3> Fates::names() {
  return kFates;
}

template <>
std::span<const std::string_view, 6> Refusals::names() {
  return kRefusals;
}

template <>
std::span<const std::string_view, 3> Amendments::names() {
  return kAmendments;
}

template <>
std::span<const std::string_view, 4> Outcomes::names() {
  return kOutcomes;
}

template <>
std::span<const std::string_view, 7> Stages::names() {
  static const std::array<std::string_view, 7> kNames = {
      stage_name(Stage::look_up), stage_name(Stage::connect), stage_name(Stage::handshake),
      stage_name(Stage::login),   stage_name(Stage::channel), stage_name(Stage::authentication),
      stage_name(Stage::open)};
  return kNames;
}

template <>
std::span<const std::string_view, 7> Reasons::names() {
  static const std::array<std::string_view, 7> kNames = {
      kind_name(Reason::Kind::requested), kind_name(Reason::Kind::end),
      kind_name(Reason::Kind::system),    kind_name(Reason::Kind::timeout),
      kind_name(Reason::Kind::refused),   kind_name(Reason::Kind::protocol),
      kind_name(Reason::Kind::exhausted)};
  return kNames;
}

void Durations::add(Milliseconds took) {
  const auto time = static_cast<std::uint64_t>(std::max(Milliseconds(0), took).count());
  const auto* const bound = std::ranges::lower_bound(kBounds, time);
  ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
  milliseconds += time;
}

std::uint64_t Durations::sum() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

void TargetCounters::ended(bool was_open, const Reason& reason) {
  if (reason.kind == Reason::Kind::protocol) ++breaches;
  if (reason.kind == Reason::Kind::requested) return;
  if (was_open) return lost.add(reason.kind);
  // A tunnel that breaks under the libvirt connection that is being opened says that it was there.
  dial_failures.add(std::min(reason.stage, Stage::open));
}

Counters::Counters() : none_(target(kNone)), opened_(target(kOpened)) {}

std::string Counters::shown(std::string_view target) {
  return base::printable(target, kLongestName);
}

std::shared_ptr<TargetCounters> Counters::target(std::string_view name) {
  std::string shown = Counters::shown(name);
  const auto found = targets_.find(shown);
  if (found != targets_.end()) return found->second.lock();
  std::shared_ptr<TargetCounters> added(new TargetCounters, [this](const TargetCounters* gone) {
    targets_.erase(gone->name);
    delete gone;
  });
  added->name = shown;
  targets_.emplace(std::move(shown), added);
  return added;
}

bool Counters::copy(std::string& after, std::size_t most, std::vector<TargetCounters>& to) const {
  auto next = targets_.upper_bound(after);
  for (; most > 0 && next != targets_.end(); --most, ++next) {
    to.push_back(*next->second.lock());
    after = next->first;
  }
  return next == targets_.end();
}

}  // namespace proxy
