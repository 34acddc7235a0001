// Asks the system's resolver for addresses of hosts. It cannot be interrupted and may take minutes
// when name servers are silent, so each host is asked for in a thread of its own, of which nobody
// waits for the end: neither other look-ups nor the end of the loop.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "tunnel/io/address.h"

struct uv_async_s;

namespace tunnel::io {

class Loop;

struct Resolved {
  std::vector<Address> addresses;  // with port 0
  std::string failure;             // in the system's words, when there are none
};

// Called in any thread, in several at a time, and perhaps after the loop has ended.
using Resolve = std::function<Resolved(const std::string& host)>;

// getaddrinfo(3).
Resolved resolve_by_system(const std::string& host);

class Resolver {
 public:
  // Hosts asked for at a time; the others wait in turn.
  static constexpr std::size_t kMostAtOnce = 64;

  // Each that exists has its part in an answer; who destroys it hears none.
  using Heard = std::function<void(const Resolved&)>;
  using Question = std::shared_ptr<Heard>;

  // For Loop, which has one.
  Resolver(Loop& loop, Resolve resolve);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  // `heard` is called once, from the loop. Who asks for a host that has been asked for and has not
  // been answered gets that answer.
  Question ask(const std::string& host, Heard heard);

 private:
  struct Mailbox;
  struct Errand;
  struct Entry {
    std::string host;
    std::vector<std::weak_ptr<Heard>> questions;
    bool running = false;
  };

  void start_some();
  void begin(const Entry& entry);
  void empty_mailbox();

  Loop& loop_;
  std::shared_ptr<Mailbox> mailbox_;
  uv_async_s* bell_;  // rung when something is in the mailbox
  std::list<Entry> entries_;
  std::size_t running_ = 0;
};

}  // namespace tunnel::io
