#include "tunnel/io/errands.h"

#include <algorithm>
#include <utility>

#include "tunnel/io/loop.h"

namespace tunnel::io {

void Whereabouts::at(std::string place) {
  const std::lock_guard lock(mutex_);
  place_ = std::move(place);
}

std::string Whereabouts::place() const {
  const std::lock_guard lock(mutex_);
  return place_;
}

std::string Errand::place() const { return whereabouts_ == nullptr ? "" : whereabouts_->place(); }

std::string Errand::late(Milliseconds limit) const {
  std::string where = place();
  // All threads wait for them.
  if (where.empty()) where = "other files";
  return where + std::string(kKeptWaiting) + std::to_string(limit.count()) + " ms";
}

ErrandHandle run_errand_at_once(const ErrandWork& work, std::function<void(int error)> done) {
  Whereabouts whereabouts;
  work(whereabouts);
  done(0);
  return std::make_shared<Errand>(std::move(done));
}

Errands::Errands(Loop& loop, Milliseconds stuck_after)
    : loop_(loop),
      stuck_after_(stuck_after),
      aside_(loop),
      look_(loop.clock(), [this] { look(); }) {}

ErrandHandle Errands::run(const std::string& key, ErrandWork work,
                          std::function<void(int error)> done) {
  auto errand = std::make_shared<Errand>(std::move(done));
  waiting_.push_back({key, errand, std::move(work)});
  start_some();
  return errand;
}

bool Errands::stuck(const Running& running) const {
  return loop_.clock().now() - running.since >= stuck_after_;
}

std::size_t Errands::room() const {
  const auto quick = static_cast<std::size_t>(
      std::ranges::count_if(running_, [this](const Running& one) { return !stuck(one); }));
  return std::min(kMostAtOnce - std::min(kMostAtOnce, quick), kMostThreads - running_.size());
}

const Errands::Running* Errands::in_the_way_of(std::string_view key) const {
  std::size_t count = 0;
  for (const Running& one : running_) {
    if (one.key == key && (stuck(one) || ++count == kMostOfOne)) return &one;
  }
  return nullptr;
}

void Errands::look() {
  waiting_.remove_if([](const Waiting& one) { return one.errand.expired(); });
  start_some();
}

void Errands::start_some() {
  std::size_t left = room();
  const Running* before = nullptr;
  for (auto it = waiting_.begin(); it != waiting_.end() && left > 0;) {
    const auto waiting = it++;
    const ErrandHandle errand = waiting->errand.lock();
    // Many may wait for the same one.
    if (before == nullptr || before->key != waiting->key) before = in_the_way_of(waiting->key);
    if (errand != nullptr && before != nullptr) {
      errand->whereabouts_ = before->whereabouts;
      continue;
    }
    if (errand != nullptr) {
      begin(*waiting);
      --left;
    }
    waiting_.erase(waiting);
  }
  if (waiting_.empty()) return look_.stop();
  if (!look_.running()) look_.start(stuck_after_);
}

void Errands::begin(Waiting& waiting) {
  const auto running = running_.insert(
      running_.end(), Running{std::move(waiting.key), waiting.errand,
                              std::make_shared<Whereabouts>(), loop_.clock().now()});
  if (const ErrandHandle errand = waiting.errand.lock()) {
    errand->whereabouts_ = running->whereabouts;
  }
  running->error = aside_.run(
      [work = std::move(waiting.work), whereabouts = running->whereabouts] { work(*whereabouts); },
      [this, running] { ended(running); });
}

void Errands::ended(std::list<Running>::iterator running) {
  const ErrandHandle errand = running->errand.lock();
  const int error = running->error;
  running_.erase(running);
  // Before others that may do anything.
  start_some();
  if (errand != nullptr) errand->done_(error);
}

}  // namespace tunnel::io
