// What is known of a subject, and of each kind of call about it: one may hang while others are
// answered. Statistics of everything wait for a machine's lock, its state does not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>

#include <sys/types.h>

#include "policy/subject.h"
#include "proxy/upstream/call.h"

namespace proxy {

// Strands that wait for the same thing, by user. Whoever of a user is woken and does not wait there
// again wakes the next one.
struct Waiters {
  std::map<uid_t, std::list<Strand*>> lines;
  bool lean = false;  // they may go once others have taken less
};

// The key of the kind that a call is of.
std::uint64_t kind_of(const Call& call);

// Longer calls are not joined, since comparing them would cost too much.
constexpr std::size_t kMostJoined = 4096;
// What calls have in common that may be sent as one; empty: such a call is sent alone.
std::string question_of(const Call& call);

// One kind of call about a subject. For a machine or another object that is its procedure; for what
// visits all of them also its arguments, which tell how much it touches.
struct Kind {
  Kind(Topic& of, std::uint64_t number) : topic(of), key(number) {}

  Topic& topic;
  const std::uint64_t key;
  std::uint32_t waiting = 0;
  std::uint32_t lying = 0;    // at the daemon, also those that nobody waits for any more
  std::uint32_t overdue = 0;  // of these
  // Set while the kind is silent: when the call was sent that was not answered in time.
  std::optional<Milliseconds> silent_since;
  Milliseconds probed{0};  // when it was last asked whether it answers again
  bool probing = false;    // such a call waits here
  // The latest answer, as long as it is remembered.
  std::optional<Milliseconds> answered;
  Waiters waiters;

  // Of the history.
  uid_t remembered_for = 0;
  std::list<Kind*>::iterator remembered;
};

struct Topic {
  policy::Subject subject;
  std::size_t lines = 0;
  std::uint32_t lying = 0;
  std::uint32_t overdue = 0;
  std::map<uid_t, std::uint32_t> overdue_of;  // the same by user, where there are some
  std::size_t known = 0;         // kinds that were answered, as long as that is remembered
  std::size_t silent = 0;        // kinds
  std::int32_t unanswered = 0;   // the procedure of the first that fell silent
  Milliseconds silent_since{0};  // while some are
  // While a kind is overdue or silent: since when. What was answered after that does not wait for
  // what hangs.
  std::optional<Milliseconds> troubled_since;
  // Since when calls about it may be what ends upstreams, or the daemon: an upstream was lost with
  // one, and none has been answered since.
  std::optional<Milliseconds> suspected_since;
  std::map<std::uint64_t, Kind> kinds;
  Waiters waiters;
  // While there is trouble: kinds of which nobody knows whether they hang too. The second is for
  // those that were answered before.
  std::array<Waiters, 2> unsure;

  // An object of which nothing was answered lately; all there is of a host is likely to answer.
  [[nodiscard]] bool is_strange() const {
    return known == 0 && subject.kind > policy::SubjectKind::sweep;
  }
  // The kind is answered in spite of what hangs.
  [[nodiscard]] bool answers(const Kind& kind) const {
    if (!troubled_since) return true;
    return kind.overdue == 0 && !kind.silent_since && kind.answered &&
           *kind.answered >= *troubled_since;
  }
};

}  // namespace proxy
