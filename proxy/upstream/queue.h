// The calls of one target that wait for a place at its daemon, and what those that lie there count
// for. An engine without I/O: the pool asks it for the next call to send, and tells it what became
// of that.
//
// Of the users it is the turn of the one who was served least recently, whatever its calls have
// waited for, and of a user's lanes each in turn; a user has no more than half of the places while
// another could use one. Calls about one subject keep their order in a lane; of all lanes no
// more than a few lie at the daemon, and what waits for such a place holds nothing else up. Calls
// that are the same to the byte and may wait are sent as one: a call joins another only while that
// has not been sent, so that no answer is older than its question, and while one of them lies at
// the daemon the next waits for those that come meanwhile.
//
// Of calls about subjects that may be what ends upstreams one at a time is sent, so that no
// innocent one is lost again beside the guilty one.
//
// Order never depends on addresses: users are taken by number, subjects and calls by what they say,
// and all else by when it came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "policy/subject.h"
#include "proxy/upstream/call.h"

namespace proxy {

// Compares keys of subjects without copying them.
struct BySubject {
  using is_transparent = void;
  using View = std::pair<policy::SubjectKind, std::string_view>;
  static View view(const policy::Subject& subject) { return {subject.kind, subject.key}; }
  static View view(const std::pair<policy::SubjectKind, std::string>& key) { return key; }
  bool operator()(const auto& one, const auto& other) const { return view(one) < view(other); }
};

// What is known of a subject.
struct Topic {
  policy::Subject subject;
  std::uint32_t lying = 0;    // calls at the daemon, also those that nobody waits for any more
  std::uint32_t overdue = 0;  // of these
  // Set while the subject is silent: when the call was sent that was not answered in time.
  std::optional<Milliseconds> silent_since;
  std::int32_t unanswered = 0;  // that call's procedure
  Milliseconds probed{0};       // when it was last asked whether it answers again
  bool probing = false;         // such a call waits here
  // Since when calls about it may be what ends upstreams, or the daemon: an upstream was lost with
  // one, and none has been answered since.
  std::optional<Milliseconds> suspected_since;
  std::size_t lines = 0;
  std::map<uid_t, std::list<Strand*>> blocked;
  bool lean = false;  // what is blocked may go once others have taken less
};

// One call, whichever clients make it.
struct Question {
  const std::string* key = nullptr;  // of the map that it lies in
  std::list<Call*> waiting;
  std::uint32_t asked = 0;  // at the daemon, and not overdue
  std::list<Strand*> blocked;
};

// A user with lanes, or with calls at the daemon.
struct Party {
  Party(uid_t who, std::uint64_t now) : uid(who), turn(now) {}

  const uid_t uid;
  std::uint32_t in_flight = 0;  // calls at the daemon
  std::uint32_t overdue = 0;    // of these, whose places count no longer
  std::list<Lane*> lanes;
  std::list<Lane*> ring;  // those with something to send
  std::uint64_t turn;     // when it was served last, or came
};

struct QueueLimits {
  std::uint32_t of_subject = 2;    // calls about one that lie at the daemon
  std::uint32_t of_lane = 4;       // a lane's calls at the daemon, without those overdue
  std::uint32_t most_overdue = 8;  // then calls about what is overdue wait
};

class Queue {
 public:
  // Longer calls are not joined, since comparing them would cost too much.
  static constexpr std::size_t kMostJoined = 4096;
  // A silent subject is asked again so long after the last time, if that has not been answered.
  static constexpr Milliseconds kProbeEvery{5000};

  // What calls have in common that may be sent as one; empty: such a call is sent alone.
  static std::string question_of(const Call& call);

  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() = default;

  void set_limits(const QueueLimits& limits) { limits_ = limits; }

  // Lanes. Calls of one that is `opening` are not taken.
  void attach(Lane& lane, Lane::State state);
  void ready(Lane& lane);   // it was opening
  void wake(Lane& lane);    // it was parked
  void detach(Lane& lane);  // its calls that wait are dropped
  // Somebody is attached.
  [[nodiscard]] bool used() const;
  [[nodiscard]] std::size_t lanes() const;
  [[nodiscard]] std::set<uid_t> uids() const;

  // The call's lane is set.
  void push(Call call);
  // What comes back from a lost upstream, in front of what came after it.
  void put_back(Calls& from, Calls::iterator call);

  struct Places {
    std::size_t all = 0;   // of the ready upstreams
    std::size_t free = 0;  // that the target may still be asked to give
    bool proven = true;    // one is free at an upstream that cannot have ended with the last lost
  };
  // The call whose turn it is, with those that join it; empty: none may be sent now. It counts as
  // lying at the daemon until finished().
  Calls next(const Places& places);
  // Some call would be sent if there were a place.
  [[nodiscard]] bool hungry() const;
  // Calls wait for a place of which there may be one by now.
  [[nodiscard]] bool lean() const { return !lean_.empty(); }
  void release_lean();

  // The call was answered, or lost with its upstream.
  void finished(Call& call);
  // Nobody waits for this one of a call's askers any more.
  void let_go(Call& asker);
  void mark_overdue(Call& call);
  [[nodiscard]] std::size_t overdue() const { return overdue_; }

  // Silence.
  [[nodiscard]] Topic* find(const policy::Subject& subject);
  [[nodiscard]] bool may_probe(const Topic& topic, Milliseconds now) const;
  void fall_silent(Topic& topic, const Call& call);
  void answered(Topic& topic);
  // An upstream was lost with a call about it.
  void suspect(Topic& topic, Milliseconds now) { topic.suspected_since = now; }
  void acquit(Topic& topic) { topic.suspected_since.reset(); }
  void forget_suspicion(Milliseconds before);
  // Forgets that subjects were silent whose last probe began before then.
  void forget_silence(Milliseconds probed_before = Milliseconds::max());
  [[nodiscard]] const auto& topics() const { return topics_; }

  // Calls that wait no longer, for the caller to end.
  Calls expired(Milliseconds now);
  Calls about(const Topic& topic);
  Calls all();
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  Topic& topic_of(const policy::Subject& subject);
  Party& party_of(uid_t uid);
  Strand& strand_of(Lane& lane, Topic& topic);
  void drop(Topic& topic);
  void drop(Question& question);
  void drop(Party& party);
  void served(Party& party);
  void join_question(Call& call, bool front);
  void enter(Lane& lane, Calls& from, Calls::iterator call, bool front);
  void take(Call& call, Calls& to);
  void tidy(Strand& line);

  void make_ready(Strand& line);
  void hold(Strand& line);
  void block(Strand& line, Topic& topic);
  void block(Strand& line, Question& question);
  void pass_on(Topic& topic, uid_t uid);
  void release(Topic& topic);
  void release(Question& question);
  void suspend(Lane& lane, Lane::State state);
  void resume(Lane& lane);
  void settle(Lane& lane);

  static void expect(Lane& lane, std::uint64_t bytes);
  static void begin_to_count(Lane& lane, const Call& asker);
  void no_longer_counts(const Call& asker);
  void no_longer_suspect(Call& call);
  void make_lean(Topic& topic);
  [[nodiscard]] bool at_rule(const Party& party) const;
  [[nodiscard]] bool has_more_than_its_share(const Party& party) const;
  static bool is_suspect(const Topic& topic, const Call& call);
  bool has_room(Topic& topic, const Call& call);
  Calls next_of(Party& party);
  Calls send(Strand& line);
  void join(Call& call, Question& question);
  template <typename Which>
  Calls take_if(Which which);

  QueueLimits limits_;
  Places places_;
  std::map<std::pair<policy::SubjectKind, std::string>, Topic, BySubject> topics_;
  std::map<std::string, Question> questions_;
  std::map<uid_t, Party> parties_;
  std::map<std::uint64_t, Party*> ring_;  // those with something to send, by their turns
  std::uint64_t turns_ = 0;
  std::size_t waiting_ = 0;
  std::uint64_t next_lane_ = 0;
  std::size_t overdue_ = 0;
  std::size_t probes_ = 0;    // that wait or lie at the daemon, and are not overdue
  std::size_t suspects_ = 0;  // that lie at the daemon, and are not overdue
  std::list<Topic*> lean_;
};

}  // namespace proxy
