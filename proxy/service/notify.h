// What the service manager is told of us; see sd_notify(3). Where there is none, nothing happens. A
// thread writes it, in order: a manager that does not read does not hold up the loop.
#pragma once

#include <string>
#include <string_view>

#include "proxy/record/writer.h"
#include "tunnel/io/clock.h"

namespace proxy {

class Notify {
 public:
  // `clock` is the loop's and outlives this. Where a watchdog is set for this process, it is fed by
  // a timer of that clock, twice in its time: a loop that is stuck misses it.
  explicit Notify(tunnel::io::Clock& clock);
  // Waits a moment for what is still to be written.
  ~Notify();
  Notify(const Notify&) = delete;
  Notify& operator=(const Notify&) = delete;

  // That we serve, for the first time or again after reloading(). `status` is a line for people.
  void ready(std::string_view status);
  // That the configuration is being read anew; ready() says when that is over.
  void reloading();
  // That the end has begun, which takes no longer than `limit`.
  void stopping(std::string_view status, tunnel::io::Milliseconds limit);

 private:
  void feed();
  void send(std::string text);

  Writer<std::string> writer_;
  tunnel::io::Milliseconds half_{0};  // of the watchdog's time; 0: there is no watchdog
  tunnel::io::Timer watchdog_;
};

}  // namespace proxy
