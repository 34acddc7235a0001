// A thread that writes what the loop hands to it, in order and from a bounded queue: a disk, a pipe
// or a journal that does not take it stops that thread alone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "tunnel/io/aside.h"

namespace proxy {

// What could not be written.
struct Losses {
  std::uint64_t count = 0;
  int error = 0;  // the errno of the last one; 0: there was no room in the queue
};

// How it is written. All is called in the writer's thread; where there is none to be had, at once.
template <typename Item>
class Pen {
 public:
  virtual ~Pen() = default;
  virtual Losses write(const Item& item) = 0;
  // Called when everything has been written: so many have been lost since this was last called.
  // False: this could not be written either, and will come again.
  virtual bool say_lost(std::uint64_t count) = 0;
  // Called when nothing is left to write; `again` says how long to wait before it is called once
  // more, if nothing comes in between.
  virtual Losses settle(std::optional<std::chrono::milliseconds>& again) {
    again.reset();
    return {};
  }
  // Nothing comes any more.
  virtual void end() {}
};

template <typename Item>
class Writer {
 public:
  // The thread starts with the first item. `most`: what may wait, in the unit of put()'s `cost`.
  Writer(std::unique_ptr<Pen<Item>> pen, std::size_t most) : shared_(std::make_shared<Shared>()) {
    shared_->pen = std::move(pen);
    shared_->most = most;
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  // Waits for nothing: what is queued is still written, if the process lives long enough.
  ~Writer() {
    const std::lock_guard lock(shared_->mutex);
    shared_->ending = true;
    shared_->more.notify_one();
  }

  // Never waits. What finds no room is lost.
  void put(Item item, std::size_t cost) {
    if (!threaded_) threaded_ = tunnel::io::start_thread([shared = shared_] { run(*shared); }) == 0;
    std::unique_lock lock(shared_->mutex);
    if (shared_->waiting + cost > shared_->most) return shared_->count({1, 0});
    shared_->waiting += cost;
    shared_->queue.emplace_back(std::move(item), cost);
    shared_->more.notify_one();
    if (!threaded_) shared_->write_next(lock);
  }

  // Waits until all is written, but no longer than this.
  void finish(std::chrono::milliseconds patience) {
    if (!threaded_) return;
    std::unique_lock lock(shared_->mutex);
    shared_->ending = true;
    shared_->more.notify_one();
    shared_->done.wait_for(lock, patience, [&] { return shared_->ended; });
  }

  // In all. Nothing more will be lost of what has been put when it is idle.
  [[nodiscard]] Losses lost() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->lost;
  }
  [[nodiscard]] bool idle() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->queue.empty() && !shared_->writing && !shared_->again;
  }

 private:
  using Steady = std::chrono::steady_clock;

  // Lives as long as the writer or the thread, whichever ends later.
  struct Shared {
    std::unique_ptr<Pen<Item>> pen;  // of the thread alone, once that runs
    std::size_t most = 0;
    mutable std::mutex mutex;
    std::condition_variable more;
    std::condition_variable done;
    std::deque<std::pair<Item, std::size_t>> queue;
    std::size_t waiting = 0;
    Losses lost;
    std::uint64_t unsaid = 0;
    std::optional<Steady::time_point> again;  // when to settle
    bool writing = false;
    bool ending = false;
    bool ended = false;

    void count(Losses more_lost) {
      if (more_lost.count == 0) return;
      lost.count += more_lost.count;
      lost.error = more_lost.error;
      unsaid += more_lost.count;
    }

    // Says whether something was lost in it.
    template <typename Work>
    bool without(std::unique_lock<std::mutex>& lock, Work work) {
      writing = true;
      lock.unlock();
      const Losses failed = work();
      lock.lock();
      writing = false;
      count(failed);
      return failed.count > 0;
    }

    void write_next(std::unique_lock<std::mutex>& lock) {
      auto next = std::move(queue.front());
      queue.pop_front();
      waiting -= next.second;
      const bool failed = without(lock, [&] {
        // Its end may take as long as its writing.
        const Item item = std::move(next.first);
        return pen->write(item);
      });
      if (queue.empty() && unsaid > 0 && !failed) say_lost(lock);
      if (queue.empty()) settle(lock);
    }

    void say_lost(std::unique_lock<std::mutex>& lock) {
      const std::uint64_t now = std::exchange(unsaid, 0);
      bool said = false;
      without(lock, [&] {
        said = pen->say_lost(now);
        return Losses{};
      });
      if (!said) unsaid += now;
    }

    void settle(std::unique_lock<std::mutex>& lock) {
      std::optional<std::chrono::milliseconds> wait;
      without(lock, [&] { return pen->settle(wait); });
      again.reset();
      if (wait) again = Steady::now() + *wait;
    }
  };

  static void run(Shared& shared) {
    std::unique_lock lock(shared.mutex);
    const auto ready = [&] { return !shared.queue.empty() || shared.ending; };
    while (true) {
      bool due = false;
      if (shared.again) {
        due = !shared.more.wait_until(lock, *shared.again, ready);
      } else {
        shared.more.wait(lock, ready);
      }
      if (!shared.queue.empty()) {
        shared.write_next(lock);
      } else if (due) {
        shared.settle(lock);
      } else {
        break;
      }
    }
    shared.without(lock, [&] {
      shared.pen->end();
      return Losses{};
    });
    shared.ended = true;
    shared.done.notify_all();
  }

  std::shared_ptr<Shared> shared_;
  bool threaded_ = false;
};

}  // namespace proxy
