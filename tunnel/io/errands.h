// Work for the sake of one connection that may wait for a disk, or for ever: for a file server that
// is gone, or for a server that a library asks by itself. It is done in threads, of which nobody
// waits for the end, and of which there are only so many.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tunnel/io/aside.h"
#include "tunnel/io/clock.h"

namespace tunnel::io {

class Loop;

// What work is about to wait for, said by the work and read by whoever gives up waiting. From any
// thread.
class Whereabouts {
 public:
  void at(std::string place);
  [[nodiscard]] std::string place() const;

 private:
  mutable std::mutex mutex_;
  std::string place_;
};

// In each reason that Errand::late() gives, and no other.
inline constexpr std::string_view kKeptWaiting = " kept us waiting for more than ";

// One piece of work, held by whoever waits for it. Destroying it means that its end is not heard
// of; what has not begun by then never does.
class Errand {
 public:
  explicit Errand(std::function<void(int error)> done) : done_(std::move(done)) {}
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;
  ~Errand() = default;

  // What it waits for: a path, as a rule. If others with the same key are in its way, what these
  // wait for; empty: for a free thread.
  [[nodiscard]] std::string place() const;
  // Why it is given up after so long, as a sentence that names the place.
  [[nodiscard]] std::string late(Milliseconds limit) const;

 private:
  friend class Errands;

  std::function<void(int error)> done_;
  std::shared_ptr<const Whereabouts> whereabouts_;
};

using ErrandHandle = std::shared_ptr<Errand>;

// Must not name what may be gone when a thread comes to it.
using ErrandWork = std::function<void(Whereabouts& whereabouts)>;

// Does `work` somewhere, and then calls `done` where it was asked, once, with 0; or with an errno
// and without `work`, where there was no thread to be had. `done` may be called before the handle
// has been given.
using RunErrand = std::function<ErrandHandle(ErrandWork work, std::function<void(int error)> done)>;

// Does it before it returns: for tests, which wait for nothing.
ErrandHandle run_errand_at_once(const ErrandWork& work, std::function<void(int error)> done);

class Errands {
 public:
  // What runs so long is stuck.
  static constexpr Milliseconds kLong{200};
  // At a time, not counting those that are stuck.
  static constexpr std::size_t kMostAtOnce = 16;
  // Of one key. None is begun while one of its key is stuck, which the next would be too.
  static constexpr std::size_t kMostOfOne = 4;
  static constexpr std::size_t kMostThreads = 256;

  // Loop has one, for the files of tunnels. What runs for `stuck_after` is stuck.
  explicit Errands(Loop& loop, Milliseconds stuck_after = kLong);
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;
  ~Errands() = default;

  // As RunErrand; `done` is called from the loop. `key` says what the work depends on, such as the
  // files: who has the same waits for the same.
  ErrandHandle run(const std::string& key, ErrandWork work, std::function<void(int error)> done);

  [[nodiscard]] std::size_t threads() const { return running_.size(); }

 private:
  struct Waiting {
    std::string key;
    std::weak_ptr<Errand> errand;
    ErrandWork work;
  };
  struct Running {
    std::string key;
    std::weak_ptr<Errand> errand;
    std::shared_ptr<Whereabouts> whereabouts;
    Milliseconds since{0};
    int error = 0;
  };

  void start_some();
  // Lets those go of which nobody waits for the end, and begins what can begin.
  void look();
  void begin(Waiting& waiting);
  void ended(std::list<Running>::iterator running);
  [[nodiscard]] bool stuck(const Running& running) const;
  // One that the next of this key has to wait for.
  [[nodiscard]] const Running* in_the_way_of(std::string_view key) const;
  // How many more may begin.
  [[nodiscard]] std::size_t room() const;

  Loop& loop_;
  const Milliseconds stuck_after_;
  Aside aside_;
  std::list<Waiting> waiting_;
  std::list<Running> running_;
  Timer look_;  // for what has become stuck, as long as somebody waits
};

}  // namespace tunnel::io
