// Paces the dials to one host and port, for all targets behind it: few logins are under way there
// at once, or an sshd with `MaxStartups` hangs up on some of a gate that starts. An engine without
// I/O. Other hosts are not concerned, and nobody waits for long for one that hangs: each wait ends
// after a while, and so does each turn.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <string>

#include "tunnel/io/clock.h"
#include "tunnel/target.h"

namespace proxy {

using tunnel::io::Milliseconds;

class Pacer {
 public:
  // Logins at once.
  static constexpr std::size_t kMostOfSsh = 2;
  static constexpr std::size_t kMostOthers = 4;
  // A dial that takes longer holds up no other.
  static constexpr Milliseconds kLongestTurn{2000};

  class Turn;

  Pacer() = default;
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;
  // All turns must be gone.
  ~Pacer() = default;

 private:
  struct Host {
    std::list<Turn*> waiting;
    std::size_t taken = 0;
    std::size_t most = 1;
  };
  using Hosts = std::map<std::string, Host>;

  void pass_on(Hosts::iterator host);

  Hosts hosts_;
};

// One target's place there, for one dial at a time.
class Pacer::Turn {
 public:
  // `come` is called from the loop, once after each ask() that had to wait, unless end() is called
  // before. The pacer and the clock outlive it.
  Turn(Pacer& pacer, tunnel::io::Clock& clock, std::function<void()> come);
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { end(); }

  // True: the dial may begin. False: when its turn comes, after `patience` at the latest.
  bool ask(const tunnel::Target& target, Milliseconds patience);
  [[nodiscard]] bool waiting() const { return state_ == State::waiting || state_ == State::due; }
  // The dial has ended, in whichever way, or is not wanted any more.
  void end();

 private:
  friend class Pacer;
  enum class State : std::uint8_t { none, waiting, due, taken };

  void passed();
  void leave();

  Pacer& pacer_;
  std::function<void()> come_;
  tunnel::io::Timer timer_;
  State state_ = State::none;
  Hosts::iterator host_;
  std::list<Turn*>::iterator node_;  // while it waits
};

}  // namespace proxy
