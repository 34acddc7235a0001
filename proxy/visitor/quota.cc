#include "proxy/visitor/quota.h"

#include <utility>

#include "base/check.h"

namespace proxy {

using tunnel::io::Milliseconds;

namespace {

// No stream tells that some of what it has queued was read.
constexpr Milliseconds kRecount{20};

}  // namespace

Quota::Quota(tunnel::io::Clock& clock, const QuotaBound& bound, ByteSum& together,
             ByteSum* expected)
    : bound_(bound),
      together_(together),
      all_expected_(expected),
      relieves_(clock, [this] { look(); }) {}

Quota::~Quota() { CHECK(sum() == 0 && waiting_.empty()); }

bool Quota::has_room(std::uint64_t bytes) const {
  const std::uint64_t most = bound_.most();
  return sum_ <= most && bytes <= most - sum_ && !bound_.over_share(1, false);
}

void Quota::recount() {
  const std::set<Part*> counted = counted_;
  for (Part* part : counted) part->recount_();
}

// Every change of the sum is made here, so that no decrease leaves anybody waiting.
void Quota::change(Part& part, std::uint64_t bytes) {
  const std::uint64_t before = std::exchange(part.bytes_, bytes);
  sum_ = sum_ - before + bytes;
  together_.change(before, bytes);
  if (part.recount_ && before == 0 && bytes > 0) counted_.insert(&part);
  if (part.recount_ && before > 0 && bytes == 0) counted_.erase(&part);
  if (bytes < before) became_less();
}

void Quota::expect(Part& part, std::uint64_t bytes) {
  CHECK(all_expected_ != nullptr || bytes == 0);
  const std::uint64_t before = std::exchange(part.expected_, bytes);
  if (before == bytes) return;
  expected_ = expected_ - before + bytes;
  all_expected_->change(before, bytes);
  if (bytes < before) became_less();
}

void Quota::became_less() {
  if (!waiting_.empty() && sum() <= bound_.most() / 2) relieves_.start(Milliseconds(0));
}

// Then whoever waits may have to be woken though nothing of this quota tells so.
bool Quota::may_go_on_unnoticed() const {
  return !counted_.empty() || expected_ > 0 || bound_.over_share(2, true);
}

void Quota::wait(Part& part) {
  if (!std::exchange(part.waits_, true)) waiting_.push_back(&part);
  if (may_go_on_unnoticed() && !relieves_.running()) relieves_.start(kRecount);
}

void Quota::forget(Part& part) {
  if (part.waits_) waiting_.remove(&part);
  expect(part, 0);
  change(part, 0);
}

void Quota::look() {
  recount();
  if (sum() <= bound_.most() / 2 && !bound_.over_share(2, true)) {
    // Whoever begins to wait again meanwhile is not called a second time.
    for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
      Part& part = *waiting_.front();
      waiting_.pop_front();
      part.waits_ = false;
      part.relieved_();
    }
  }
  if (!waiting_.empty() && may_go_on_unnoticed()) return relieves_.start(kRecount);
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
