// The calls of one target that wait for a place at its daemon, and what those that lie there count
// for. An engine without I/O: the pool asks it for the next call to send, and tells it what became
// of that.
//
// The user who was served least recently comes first, whatever the calls have waited for, and the
// lanes of a user take turns. A user has no more than half of the places while another could use
// one. Calls about one subject keep their order in a lane; of all lanes no
// more than a few lie at the daemon, and what waits for such a place holds nothing else up. Calls
// that are the same to the byte and may wait are sent as one: a call joins another only while that
// has not been sent, so that no answer is older than its question, and while one of them lies at
// the daemon the next waits for those that come meanwhile.
//
// Of calls about subjects that may be what ends upstreams one at a time is sent, so that no
// innocent one is lost again beside the guilty one.
//
// Where a kind of call about a subject hangs, another one that has been answered since goes as
// ever, and of those of which nobody knows a few are tried, one of each. In the same way, once as
// many calls hang as may be overdue, whatever has not been answered since is tried one call at a
// time, up to a few more; one user has no more than may be overdue while others are there. Calls
// about objects that have answered nothing yet have no more places than that from the beginning. A
// daemon has only so many workers.
//
// Order never depends on addresses: users are taken by number, subjects and calls by what they say,
// and all else by when it came.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "policy/subject.h"
#include "proxy/upstream/call.h"
#include "proxy/upstream/due.h"
#include "proxy/upstream/estimate.h"
#include "proxy/upstream/history.h"
#include "proxy/upstream/party.h"
#include "proxy/upstream/topic.h"

namespace proxy {

// Compares keys of subjects without copying them.
struct BySubject {
  using is_transparent = void;
  using View = std::pair<policy::SubjectKind, std::string_view>;
  static View view(const policy::Subject& subject) { return {subject.kind, subject.key}; }
  static View view(const std::pair<policy::SubjectKind, std::string>& key) { return key; }
  bool operator()(const auto& one, const auto& other) const { return view(one) < view(other); }
};

// One call, whichever clients make it.
struct Question {
  const std::string* key = nullptr;  // of the map that it lies in
  std::list<Call*> waiting;
  std::uint32_t asked = 0;  // at the daemon, and not overdue
  std::list<Strand*> blocked;
};

struct QueueLimits {
  std::uint32_t of_subject = 2;    // calls about one at the daemon, without those overdue
  std::uint32_t of_lane = 4;       // a lane's calls at the daemon, without those overdue
  std::uint32_t most_overdue = 8;  // then only what is answered goes freely
  std::size_t given_up = 0;        // calls that keep workers of the daemon, and lie at no upstream
  bool may_be_restarted = false;   // the daemon, which then keeps none of these
  Milliseconds now{0};
};

class Queue {
 public:
  // How many calls one may be sent for, since all of them are answered in one turn.
  static constexpr std::size_t kMostAskers = 256;
  // A silent subject is asked again so long after the last time, if that has not been answered.
  static constexpr Milliseconds kProbeEvery{5000};
  // Once all places for calls that may hang are taken, one more is tried at a time. If that one
  // hangs, the next is tried so long later, and after twice as long each time. A silent subject is
  // asked again in the same way if the daemon may have been restarted.
  static constexpr Milliseconds kFirstResort{60000};
  static constexpr Milliseconds kLongestResort{600000};

  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() = default;

  void set_limits(const QueueLimits& limits) {
    if (limits.may_be_restarted && !limits_.may_be_restarted) {
      last_resort_ = limits.now + kFirstResort;
    }
    limits_ = limits;
    end_crowd();
  }

  // Lanes. Calls of one that is `opening` are not taken; the caller opens it.
  void attach(Lane& lane, Lane::State state);
  void wake(Lane& lane);    // it was parked
  void detach(Lane& lane);  // its calls that wait are dropped
  // Somebody is attached.
  [[nodiscard]] bool used() const { return parties_.present() > 0; }
  [[nodiscard]] std::size_t lanes() const { return parties_.lanes(); }
  [[nodiscard]] std::set<uid_t> uids() const { return parties_.uids(); }

  // The call's lane is set.
  void push(Call call);
  // What comes back from a lost upstream, in front of what came after it.
  void put_back(Calls& from, Calls::iterator call);

  struct Places {
    std::size_t all = 0;   // of the ready upstreams
    std::size_t most = 0;  // that the target may have
    std::size_t free = 0;  // that it may still be asked to give
    bool proven = true;    // one is free at an upstream that was heard since another was lost
  };
  // The call whose turn it is, with those that join it; empty: none may be sent now. It counts as
  // lying at the daemon until finished().
  Calls next(const Places& places);
  // Some call would be sent if there were a place.
  [[nodiscard]] bool hungry() const;
  // Calls wait for a place of which there may be one by now.
  [[nodiscard]] bool lean() const { return !lean_.empty(); }
  void release_lean();

  // A call that next() gave was answered, or lost with its upstream.
  void finished(Call& call);
  // How long its reply was, which is what other calls of the kind are then expected to bring.
  void note_reply(const Call& call, std::uint64_t bytes) {
    sizes_[{call.program, call.procedure}].add(bytes);
  }
  // Nobody waits for this one of a call's askers any more.
  void let_go(Call& asker);
  void mark_late(Call& call);
  void mark_overdue(Call& call);
  // Hang at the daemon; 0: fewer than may.
  [[nodiscard]] std::size_t crowd() const { return crowded_since_ ? overdue_ : 0; }

  // Silence.
  [[nodiscard]] const Topic* find(const policy::Subject& subject) const;
  // What submit() has to know of a call about a subject that is silent.
  enum class Way : std::uint8_t {
    free,    // its kind is answered
    probe,   // it may ask whether its kind answers again
    unsure,  // its kind may well hang too
    none,    // its kind does not answer
  };
  [[nodiscard]] Way way_of(const Topic& topic, const Call& call, Milliseconds now) const;
  // True: it is the first kind of its topic.
  bool fall_silent(const Call& call);
  // A call that lies at the daemon was answered. True: it was silent, and now nothing of its topic
  // is.
  bool answered(const Call& call, Milliseconds now);
  // The daemon was away, and so perhaps restarted: a silent subject may be asked again at once.
  void expect_restarted() { last_resort_ = Milliseconds(0); }
  // To be called now and then.
  void ask_again(Milliseconds now);
  // An upstream was lost with a call about it.
  void suspect(Topic& topic, Milliseconds now);
  void acquit(Topic& topic);
  void forget_suspicion(Milliseconds before);
  // Forgets that kinds were silent whose last probe began before then.
  void forget_silence(Milliseconds probed_before = Milliseconds::max());
  void forget_history(Milliseconds now);
  [[nodiscard]] const auto& topics() const { return topics_; }

  // Calls that are to wait no longer: those of a kind, without probes, which are told what is known
  // of their subject by then, and all of them, which are told `fault`.
  void end(const Kind& kind);
  void end_all(const policy::Fault& fault);
  // One of these, or one whose deadline has come, for the caller to end; empty: there is none.
  Calls due(Milliseconds now);
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  Topic& topic_of(const policy::Subject& subject);
  Strand& strand_of(Lane& lane, Topic& topic);
  void drop(Topic& topic);
  void drop(Kind& kind);
  void drop(Question& question);
  void served(Party& party);
  void join_question(Call& call, bool front);
  void enter(Lane& lane, Calls& from, Calls::iterator call, bool front);
  void take(Call& call, Calls& to);
  void withdraw(Call& call, Calls& to);
  void tidy(Strand& line);

  void make_ready(Strand& line);
  void take_out(Strand& line);
  void hold(Strand& line);
  void block(Strand& line, Waiters& waiters);
  void block(Strand& line, Question& question);
  void wake(Waiters& waiters, uid_t uid);
  void wake_next(Strand& line);
  void release(Waiters& waiters);
  void release(Topic& topic);
  void release(Question& question);
  void suspend(Lane& lane, Lane::State state);
  void resume(Lane& lane);
  void settle(Lane& lane);

  static void expect(Lane& lane, std::uint64_t bytes) {
    if (std::exchange(lane.expected, bytes) != bytes) lane.user.on_expected(bytes);
  }
  void begin_to_count(Lane& lane, Call& asker);
  void no_longer_counts(const Call& asker);
  void no_longer_asks(Call& call);
  void no_longer_risked(Call& call);
  void note_crowd(const Call& call);
  void end_crowd();
  [[nodiscard]] bool may_probe(const Kind& kind, Milliseconds now) const;
  [[nodiscard]] bool is_spent() const;
  [[nodiscard]] std::size_t more_of_all(bool known) const;
  void begin_probe(Call& call, Milliseconds now);
  void speak(Kind& kind);
  static void end_trouble(Topic& topic);
  void forget(Kind& kind);
  Waiters& make_lean(Waiters& waiters);
  [[nodiscard]] bool at_rule(const Party& party) const;
  [[nodiscard]] bool has_its_most(const Party& party) const;
  [[nodiscard]] bool has_more_than_its_share(const Party& party) const;
  static bool is_suspect(const Topic& topic, const Call& call);
  [[nodiscard]] bool is_proven(const Kind& kind) const;
  [[nodiscard]] std::size_t risked() const {
    return overdue_ + late_ + probes_ + unsure_ + limits_.given_up;
  }
  Waiters* obstacle_of(Topic& topic, const Call& call);
  [[nodiscard]] std::uint32_t most_stuck(const Lane& lane) const;
  [[nodiscard]] bool risks_enough(const Lane& lane) const;
  [[nodiscard]] bool may_try(const Topic& topic, const Kind* kind, const Lane& lane) const;
  // What hangs of the same subject, and of all.
  Waiters* trouble_of(Topic& topic, Kind& kind, const Lane& lane);
  Waiters* crowd_of(const Party& party, const Kind& kind);
  Calls next_of(Party& party);
  Calls send(Strand& line);
  void join(Call& call, Question& question);
  template <typename Which>
  void end_if(Which which, const std::shared_ptr<const policy::Fault>& why);

  QueueLimits limits_;
  Places places_;
  std::map<std::pair<policy::SubjectKind, std::string>, Topic, BySubject> topics_;
  std::map<std::string, Question> questions_;
  std::map<std::pair<std::uint32_t, std::int32_t>, ReplySize> sizes_;  // by procedure
  Parties parties_;
  std::map<std::uint64_t, Party*> ring_;  // those with something to send, by their turns
  std::uint64_t turns_ = 0;
  std::size_t waiting_ = 0;
  Due due_;
  std::uint64_t next_lane_ = 0;
  std::size_t overdue_ = 0;
  std::size_t late_ = 0;       // neither probes nor unsure
  std::size_t probes_ = 0;     // that wait or lie at the daemon, and are not overdue
  std::size_t silent_ = 0;     // kinds
  std::size_t suspected_ = 0;  // topics
  std::size_t suspects_ = 0;   // that lie at the daemon, and are not overdue
  std::size_t unsure_ = 0;     // the same
  std::size_t strange_ = 0;    // the same, and not late: of subjects that have answered nothing
  // While as many calls are late or overdue as may be: since when. What was answered after that is
  // proven.
  std::optional<Milliseconds> crowded_since_;
  std::array<Waiters, 2> crowd_;  // what is not; the second was answered before
  Milliseconds last_resort_{0};
  Milliseconds last_resort_pause_ = kFirstResort;
  Milliseconds next_trial_{0};
  Milliseconds trial_pause_ = kFirstResort;
  std::list<Waiters*> lean_;
  History history_;
};

}  // namespace proxy
