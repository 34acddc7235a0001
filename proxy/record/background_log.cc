#include "proxy/record/background_log.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

#include "tunnel/io/aside.h"

namespace proxy {
namespace {

// The fields, and about what a record costs beside them.
std::size_t cost(const Record& record) {
  std::size_t bytes = 128;
  for (const LogField& field : record.fields) bytes += 64 + field.text.size();
  return bytes;
}

Record lost(std::uint64_t count) {
  Record record{Level::warning, "log-lost", false, {}};
  record.fields.push_back({"count", std::to_string(count), true});
  return record;
}

}  // namespace

// Lives as long as the log or the thread, whichever ends later.
struct BackgroundLog::Shared {
  std::unique_ptr<Log> to;  // of the thread alone, once that runs
  std::mutex mutex;
  std::condition_variable more;
  std::condition_variable done;
  std::deque<Record> queue;
  std::size_t bytes = 0;
  std::uint64_t lost = 0;
  bool writing = false;
  bool ending = false;

  [[nodiscard]] bool idle() const { return queue.empty() && !writing && lost == 0; }
};

BackgroundLog::BackgroundLog(Level least, std::unique_ptr<Log> to)
    : least_(least), shared_(std::make_shared<Shared>()) {
  shared_->to = std::move(to);
  threaded_ = tunnel::io::start_thread([shared = shared_] { run(*shared); }) == 0;
}

BackgroundLog::~BackgroundLog() {
  if (!threaded_) return;
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->more.notify_one();
  shared_->done.wait_for(lock, kLastWords, [&] { return shared_->idle(); });
}

void BackgroundLog::write(const Record& record) {
  if (record.level < least_) return;
  if (!threaded_) return shared_->to->write(record);
  const std::size_t bytes = cost(record);
  const std::lock_guard lock(shared_->mutex);
  if (shared_->bytes + bytes > kMostQueued) {
    ++shared_->lost;
    return;
  }
  shared_->bytes += bytes;
  shared_->queue.push_back(record);
  shared_->more.notify_one();
}

void BackgroundLog::run(Shared& shared) {
  std::unique_lock lock(shared.mutex);
  while (true) {
    shared.more.wait(lock, [&] { return !shared.idle() || shared.ending; });
    if (shared.idle()) return;
    Record next;
    if (shared.queue.empty()) {
      next = lost(std::exchange(shared.lost, 0));
    } else {
      next = std::move(shared.queue.front());
      shared.queue.pop_front();
      shared.bytes -= cost(next);
    }
    shared.writing = true;
    lock.unlock();
    shared.to->write(next);
    lock.lock();
    shared.writing = false;
    if (shared.idle()) shared.done.notify_all();
  }
}

}  // namespace proxy
