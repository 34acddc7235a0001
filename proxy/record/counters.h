// What the gate counts: plain numbers of one thread that only grow, so that counting costs nothing
// and nobody has to be asked. The sets that they are told apart by are bounded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace proxy {

// What became of a client's call when it was judged.
enum class Fate : std::uint8_t {
  passed,    // to the target
  answered,  // by the gate itself
  refused,
};

enum class Refusal : std::uint8_t {
  policy,  // it does not read, or the table does not know it
  rule,    // of the configuration
  name,    // what was opened means no target that this client may have
  order,   // not now: nothing is open yet, or something is
  limit,   // clients, registrations
  target,  // that was to be opened is not there
};

// How a call was answered otherwise than it asked, so that the program that asks can go on.
enum class Amended : std::uint8_t {
  secure_omitted,   // a description without the passwords that it asked for
  statistics_kept,  // of a finished job, without discarding them
  pretended,        // as done, and not sent on
};

// How a call that passed ended.
enum class Outcome : std::uint8_t {
  ok,
  error,    // of the daemon's
  failed,   // the target is not there
  timeout,  // no answer came in time
};

// A number for each value of an enumeration that counts from 0; `Kind` has N of them.
template <typename Kind, std::size_t N>
struct Tally {
  std::array<std::uint64_t, N> counts{};

  void add(Kind kind) { ++counts[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::uint64_t operator[](Kind kind) const {
    return counts[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] std::uint64_t sum() const {
    std::uint64_t all = 0;
    for (const std::uint64_t count : counts) all += count;
    return all;
  }
  // In the order of `counts`: words for labels and keys.
  static std::span<const std::string_view, N> names();
};

using Fates = Tally<Fate, 3>;
using Refusals = Tally<Refusal, 6>;
using Amendments = Tally<Amended, 3>;
using Outcomes = Tally<Outcome, 4>;
using Stages = Tally<tunnel::io::Stage, 7>;  // up to `open`
using Reasons = Tally<tunnel::io::Reason::Kind, 7>;

template <>
std::span<const std::string_view, 3> Fates::names();
template <>
std::span<const std::string_view, 6> Refusals::names();
template <>
std::span<const std::string_view, 3> Amendments::names();
template <>
std::span<const std::string_view, 4> Outcomes::names();
template <>
std::span<const std::string_view, 7> Stages::names();
template <>
std::span<const std::string_view, 7> Reasons::names();

// How long something took.
struct Durations {
  using Milliseconds = tunnel::io::Milliseconds;

  // The longest time that counts for each bucket; one more bucket holds all that is longer.
  static constexpr std::array<std::uint32_t, 13> kBounds = {1,   5,    10,   25,   50,    100,  250,
                                                            500, 1000, 2500, 5000, 10000, 30000};

  std::array<std::uint64_t, kBounds.size() + 1> counts{};
  std::uint64_t milliseconds = 0;  // in all

  void add(Milliseconds took);
  [[nodiscard]] std::uint64_t sum() const;
};

struct Traffic {
  std::uint64_t in = 0;  // bytes
  std::uint64_t out = 0;
};

// Of one target.
struct TargetCounters {
  std::string name;
  Fates calls;
  Amendments amended;
  Outcomes replies;
  Durations durations;
  std::uint64_t events = 0;  // sent to clients
  std::uint64_t joined = 0;  // calls that another one's answer was for

  std::uint64_t dials = 0;
  std::uint64_t opened = 0;  // upstreams
  Stages dial_failures;
  Reasons lost;                // upstreams that had been open
  std::uint64_t breaches = 0;  // of the rules, by the daemon or by what is on the way to it
  Traffic traffic;             // with the daemon, without what the tunnel adds

  // An upstream ended.
  void ended(bool was_open, const tunnel::io::Reason& reason);
};

// Of a gate.
class Counters {
 public:
  // No target can have these names.
  static constexpr std::string_view kNone = "(none)";
  static constexpr std::string_view kOpened = "(opened)";  // of all that open_uris let pass

  Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;
  // Nobody holds counters any more.
  ~Counters() = default;

  // The counters of a target, which go with the last one who holds them: there are as many as there
  // are targets, and what a target was called before takes no place. Foreign text in `name` is made
  // printable, and cut.
  std::shared_ptr<TargetCounters> target(std::string_view name);
  // What the counters of a target are called.
  static std::string shown(std::string_view target);
  // Copies those of the targets that there are, by name: so many behind this one, which becomes the
  // last of them. True: there are no more.
  bool copy(std::string& after, std::size_t most, std::vector<TargetCounters>& to) const;
  // What concerns no target: a client that has opened none.
  TargetCounters& none() { return *none_; }

  std::uint64_t accepted = 0;     // clients
  std::uint64_t turned_away = 0;  // of these
  Refusals refusals;
  Traffic traffic;  // with clients

 private:
  std::map<std::string, std::weak_ptr<TargetCounters>, std::less<>> targets_;
  std::shared_ptr<TargetCounters> none_;
  std::shared_ptr<TargetCounters> opened_;  // never falls
};

}  // namespace proxy
