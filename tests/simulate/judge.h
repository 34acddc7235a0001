// Who knows everything: which answers and events the daemons gave, which rules hold, and what of it
// is against the gate's promises. The first breach ends the run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "tests/simulate/trace.h"
#include "tests/simulate/wire.h"
#include "tunnel/io/clock.h"

namespace simulate {

using tunnel::io::Milliseconds;

// A moment. Two in the same millisecond have an order too.
using Moment = std::uint64_t;

struct Answer {
  std::size_t daemon = 0;
  std::int32_t procedure = 0;
  std::uint64_t question = 0;  // identity()
  Moment read = 0;             // when the daemon had read the question
  Milliseconds read_at{0};
};

struct Event {
  std::size_t daemon = 0;
  Subject machine = 0;
  std::int32_t message = 0;
  std::uint64_t registration = 0;  // the daemon's, unique in the run
  std::uint64_t index = 0;         // within that
};

class Judge {
 public:
  Judge(tunnel::io::Clock& clock, Trace& trace) : clock_(clock), trace_(trace) {}

  // Of the clock, which the simulation counts.
  std::uint64_t turn = 0;

  // Each call gives a later one.
  Moment moment() { return ++moment_; }

  std::uint64_t add(const Answer& answer);
  std::uint64_t add(const Event& event);
  // Null: there is none of that number.
  [[nodiscard]] const Answer* answer(std::uint64_t number) const;
  [[nodiscard]] const Event* event(std::uint64_t number) const;

  // A breach of the promise `check`. Only the first one counts.
  void fail(std::string_view check, const std::string& what);
  [[nodiscard]] bool failed() const { return !failed_check_.empty(); }
  [[nodiscard]] const std::string& failed_check() const { return failed_check_; }
  [[nodiscard]] const std::string& what() const { return what_; }

  // The rules: what each user may not call, and since when it is so.
  void rules_changed(std::map<uid_t, std::set<policy::Remote>> denied);
  [[nodiscard]] bool denied(uid_t uid, policy::Remote procedure) const;
  [[nodiscard]] Moment rules_since() const { return rules_since_; }

  // Where a target leads, and when that changed. A target that was changed in any way is no measure
  // of how long anything takes.
  void leads_to(const std::string& target, std::size_t daemon);
  void disturbed(const std::string& target) { disturbed_[target] = clock_.now(); }
  [[nodiscard]] bool led_to(const std::string& target, std::size_t daemon, Moment since) const;
  [[nodiscard]] Milliseconds disturbed_at(const std::string& target) const;
  // The gate is to stop, and reads no more calls.
  void stops() { stops_at_ = clock_.now(); }
  [[nodiscard]] Milliseconds stops_at() const { return stops_at_; }
  [[nodiscard]] std::size_t daemon_of(const std::string& target) const;
  // How many targets lead to a daemon, or did so after `since`; one counts once.
  [[nodiscard]] std::size_t targets_of(std::size_t daemon, Milliseconds since) const;

 private:
  Milliseconds stops_at_ = Milliseconds::max();
  struct Way {
    Moment since = 0;
    std::size_t daemon = 0;
    Milliseconds at{0};
  };

  tunnel::io::Clock& clock_;
  Trace& trace_;
  Moment moment_ = 0;
  std::vector<Answer> answers_;
  std::vector<Event> events_;
  std::string failed_check_;
  std::string what_;
  std::map<uid_t, std::set<policy::Remote>> denied_;
  Moment rules_since_ = 0;
  std::map<std::string, std::vector<Way>> ways_;
  std::map<std::string, Milliseconds> disturbed_;
};

}  // namespace simulate
