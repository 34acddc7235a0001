// Asks the system's resolver for addresses of hosts. It cannot be interrupted and may take minutes
// when name servers are silent, so each host is asked for in a thread of its own, of which nobody
// waits for the end: neither other look-ups nor the end of the loop. There are only so many
// threads. Hosts that took long the last time get no more than some of them, so that the others are
// not kept waiting by name servers that are dead; and who must wait is answered from the hosts
// file.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tunnel/io/address.h"
#include "tunnel/io/aside.h"
#include "tunnel/io/clock.h"

namespace tunnel::io {

class Loop;

struct Resolved {
  std::vector<Address> addresses;  // with port 0
  std::string failure;             // in the system's words, when there are none
  bool shortage = false;           // it is for lack of descriptors, memory or threads
};

// Called in any thread, in several at a time, and perhaps after the loop has ended.
using Resolve = std::function<Resolved(const std::string& host)>;

// getaddrinfo(3).
Resolved resolve_by_system(const std::string& host);
// What /etc/hosts, hosts(5), has for it; nothing is no failure.
Resolved resolve_by_hosts_file(const std::string& host);
// The same of a file's text.
std::vector<Address> addresses_in_hosts(std::string_view text, std::string_view host);

class Resolver {
 public:
  // Hosts asked for at a time; the others wait in turn.
  static constexpr std::size_t kMostAtOnce = 64;
  // Of them, those that took longer than kLong when they were asked for last.
  static constexpr std::size_t kMostSlow = 48;
  static constexpr Milliseconds kLong{2000};

  struct Asker {
    std::function<void(const Resolved&)> heard;
    std::optional<Milliseconds> since;  // when the host began to be asked for, or this one joined
  };
  // Each one that exists is answered. Destroying it cancels the question.
  using Question = std::shared_ptr<Asker>;

  // For Loop, which has one.
  Resolver(Loop& loop, Resolve resolve, Resolve resolve_at_once);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver() = default;

  // `heard` is called once, from the loop. Who asks for a host that has been asked for and has not
  // been answered gets that answer.
  Question ask(const std::string& host, std::function<void(const Resolved&)> heard);

 private:
  using Questions = std::vector<std::weak_ptr<Asker>>;
  struct Entry {
    std::string host;
    Questions questions;
    bool running = false;
    bool slow = false;
    bool looked_at_once = false;
    Milliseconds since{0};  // running
  };

  void start_some();
  void start_of(bool slow);
  // Answers those that wait with what is known without asking anybody.
  void look_at_once();
  void begin(Entry& entry);
  // Forgets an entry whose thread has ended.
  void end(std::list<Entry>::iterator entry);
  void ended(const std::string& host, const Resolved& resolved);
  void answer(const std::string& host, const Resolved& resolved);
  void tell(const Questions& questions, const Resolved& resolved);
  std::list<Entry>::iterator find(const std::string& host);

  Loop& loop_;
  Aside aside_;
  const Resolve resolve_;
  Resolve at_once_;
  std::list<Entry> entries_;
  std::size_t running_ = 0;
  std::size_t slow_running_ = 0;
  std::set<std::string, std::less<>> slow_;  // hosts
};

}  // namespace tunnel::io
