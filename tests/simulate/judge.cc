// The first promise that breaks ends the run, and the judge keeps its name and what broke it.
#include "tests/simulate/judge.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace simulate {

std::uint64_t Judge::add(const Answer& answer) {
  answers_.push_back(answer);
  return answers_.size();
}

std::uint64_t Judge::add(const Event& event) {
  events_.push_back(event);
  return events_.size();
}

const Answer* Judge::answer(std::uint64_t number) const {
  return number == 0 || number > answers_.size() ? nullptr : &answers_[number - 1];
}

const Event* Judge::event(std::uint64_t number) const {
  return number == 0 || number > events_.size() ? nullptr : &events_[number - 1];
}

void Judge::fail(std::string_view check, const std::string& what) {
  if (failed()) return;
  failed_check_ = check;
  what_ = what;
  trace_.line(fmt::format("FAILED {}: {}", check, what));
}

void Judge::rules_changed(std::map<uid_t, std::set<policy::Remote>> denied) {
  denied_ = std::move(denied);
  rules_since_ = moment();
}

bool Judge::denied(uid_t uid, policy::Remote procedure) const {
  const auto found = denied_.find(uid);
  return found != denied_.end() && found->second.contains(procedure);
}

void Judge::leads_to(const std::string& target, std::size_t daemon) {
  ways_[target].push_back({moment(), daemon, clock_.now()});
}

bool Judge::led_to(const std::string& target, std::size_t daemon, Moment since) const {
  const auto& ways = ways_.at(target);
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const bool over = i + 1 < ways.size() && ways[i + 1].since < since;
    if (ways[i].daemon == daemon && !over) return true;
  }
  return false;
}

Milliseconds Judge::disturbed_at(const std::string& target) const {
  const auto found = disturbed_.find(target);
  return found == disturbed_.end() ? Milliseconds(-1000000) : found->second;
}

std::size_t Judge::targets_of(std::size_t daemon, Milliseconds since) const {
  const auto leads = [&](const auto& target) {
    const auto& ways = target.second;
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const bool over = i + 1 < ways.size() && ways[i + 1].at < since;
      if (ways[i].daemon == daemon && !over) return true;
    }
    return false;
  };
  return static_cast<std::size_t>(std::ranges::count_if(ways_, leads));
}

std::size_t Judge::daemon_of(const std::string& target) const {
  return ways_.at(target).back().daemon;
}

}  // namespace simulate
