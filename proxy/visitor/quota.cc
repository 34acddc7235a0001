#include "proxy/visitor/quota.h"

#include <utility>

#include "base/check.h"

namespace proxy {

using tunnel::io::Milliseconds;

namespace {

// No stream tells that some of what it has queued was read.
constexpr Milliseconds kRecount{20};

}  // namespace

Quota::Quota(tunnel::io::Clock& clock, std::function<std::uint64_t()> most, std::uint64_t& together)
    : most_(std::move(most)), together_(together), relieves_(clock, [this] { look(); }) {}

Quota::~Quota() { CHECK(sum_ == 0 && waiting_.empty()); }

bool Quota::has_room(std::uint64_t bytes) const {
  const std::uint64_t most = most_();
  return sum_ <= most && bytes <= most - sum_;
}

void Quota::recount() {
  const std::set<Part*> counted = counted_;
  for (Part* part : counted) part->recount_();
}

// Every change of the sum is made here, so that no decrease leaves anybody waiting.
void Quota::change(Part& part, std::uint64_t bytes) {
  const std::uint64_t before = std::exchange(part.bytes_, bytes);
  sum_ = sum_ - before + bytes;
  together_ = together_ - before + bytes;
  if (part.recount_ && before == 0 && bytes > 0) counted_.insert(&part);
  if (part.recount_ && before > 0 && bytes == 0) counted_.erase(&part);
  if (bytes < before && !waiting_.empty() && sum_ <= most_() / 2) relieves_.start(Milliseconds(0));
}

void Quota::wait(Part& part) {
  if (!std::exchange(part.waits_, true)) waiting_.push_back(&part);
  if (!counted_.empty() && !relieves_.running()) relieves_.start(kRecount);
}

void Quota::forget(Part& part) {
  if (part.waits_) waiting_.remove(&part);
  change(part, 0);
}

void Quota::look() {
  recount();
  if (sum_ <= most_() / 2) {
    // Whoever begins to wait again meanwhile is not called a second time.
    for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
      Part& part = *waiting_.front();
      waiting_.pop_front();
      part.waits_ = false;
      part.relieved_();
    }
  }
  if (!waiting_.empty() && !counted_.empty()) return relieves_.start(kRecount);
  relieves_.stop();
}

Quota::Part::Part(Quota& quota, std::function<void()> relieved, std::function<void()> recount)
    : quota_(quota), relieved_(std::move(relieved)), recount_(std::move(recount)) {}

Quota::Part::~Part() { quota_.forget(*this); }

bool Quota::Part::must_wait() {
  if (!quota_.full()) return false;
  quota_.wait(*this);
  return true;
}

}  // namespace proxy
