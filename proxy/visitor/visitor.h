// One connection to the gate, as the gate treats it whatever it speaks.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "conf/values.h"
#include "policy/error.h"
#include "proxy/record/counters.h"
#include "proxy/record/log.h"
#include "proxy/record/snapshot.h"
#include "proxy/visitor/budget.h"
#include "proxy/visitor/guest.h"
#include "proxy/visitor/told.h"
#include "proxy/visitor/turns.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

class Visitor {
 public:
  virtual ~Visitor() = default;

  virtual void start() = 0;
  // Whatever it asks is answered with `why`, and the connection ends soon: for a newcomer who is
  // one too many.
  virtual void turn_away(policy::Fault why) = 0;
  // Takes no more calls, and ends when those that it has are answered.
  virtual void drain(std::string_view why) = 0;
  // Asks the gate again what it may do. What is not allowed any more ends.
  virtual void regrant() = 0;
  virtual void close(tunnel::io::Reason reason) = 0;

  // Names it in the log.
  [[nodiscard]] virtual std::int64_t number() const = 0;
  [[nodiscard]] virtual std::uint64_t calls() const = 0;
  [[nodiscard]] virtual ClientSnapshot snapshot() const = 0;
  [[nodiscard]] virtual const Guest& guest() const = 0;
  // Complete in on_visitor_gone().
  [[nodiscard]] virtual const ClientEnd& end() const = 0;
};

class VisitorOwner {
 public:
  virtual ~VisitorOwner() = default;
  // How much of a fault this peer may hear.
  virtual Told tell(const tunnel::io::Peer& peer, const policy::Fault& fault) = 0;
  // The visitor's last call, from the loop; the owner destroys it.
  virtual void on_visitor_gone(Visitor& visitor) = 0;
};

// What every visitor uses. All of it outlives the visitor.
struct VisitorDeps {
  tunnel::io::Clock& clock;
  Log& log;
  const conf::Limits& limits;
  Counters& counters;
  Budget& budget;
  Turns& turns;
  VisitorOwner& owner;
};

// Somebody who has just connected.
struct Arrival {
  std::int64_t number;
  std::unique_ptr<tunnel::io::Stream> stream;  // not yet open
  tunnel::io::Peer peer;                       // who is at the other end of it
  Guest guest;
};

}  // namespace proxy
