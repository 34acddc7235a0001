// Who of the clients goes on in a turn of the loop. What is answered or refused here takes no place
// at a daemon and comes under no limit there, so it is bounded: each user has so much work done in
// a turn, and each of their clients a part of that; the rest is done in the turns that follow,
// between which everybody else is heard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>

#include <sys/types.h>

#include "tunnel/io/clock.h"

namespace proxy {

class Turns {
 public:
  class Part;

  // Work is a number of messages; a long one counts as one for each kMessage bytes that it has, and
  // one that takes long as one for each kTime that it took, if these are more.
  static constexpr std::int64_t kOfUser = 128;
  static constexpr std::int64_t kOfClient = 32;
  static constexpr std::size_t kMessage = 4096;
  static constexpr tunnel::io::Microseconds kTime{50};

  // The clock outlives it.
  explicit Turns(tunnel::io::Clock& clock) : clock_(clock), next_(clock, [this] { begin(); }) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  // All parts are gone.
  ~Turns();

 private:
  struct User {
    std::int64_t left = kOfUser;  // negative: owed by what was longer than what was left
    std::int64_t turn = 0;        // of which that is
    std::list<Part*> waiting;     // in the order in which they came
    std::size_t parts = 0;
  };

  void begin();
  void look();
  void refill(User& user) const;

  tunnel::io::Clock& clock_;
  std::map<uid_t, User> users_;  // those with parts
  std::int64_t turn_ = 0;  // a new one begins with each millisecond, and whenever somebody waits
  tunnel::io::Milliseconds began_{0};
  tunnel::io::Timer next_;
};

// One client's part.
class Turns::Part {
 public:
  // `go_on` is called from the clock, once after each must_wait() that was true.
  Part(Turns& turns, uid_t uid, std::function<void()> go_on);
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part();

  // Whether this turn is over for the client.
  [[nodiscard]] bool must_wait();
  // A message of so many bytes is being looked at, as long as this lives.
  class Work {
   public:
    Work(Part& part, std::size_t bytes)
        : part_(part), bytes_(bytes), began_(part.turns_.clock_.worked()) {}
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    ~Work() { part_.spend(bytes_, part_.turns_.clock_.worked() - began_); }

   private:
    Part& part_;
    const std::size_t bytes_;
    const tunnel::io::Microseconds began_;
  };

 private:
  friend class Turns;

  void spend(std::size_t bytes, tunnel::io::Microseconds took);

  Turns& turns_;
  const uid_t uid_;
  User& user_;
  const std::function<void()> go_on_;
  std::int64_t turn_ = 0;  // of which `left_` is
  std::int64_t left_ = kOfClient;
  bool waits_ = false;
};

}  // namespace proxy
