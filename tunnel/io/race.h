// Which of a host's addresses to try when, as RFC 8305 says: the families take turns, the next
// address is tried a while after the one before it or as soon as one has failed, and earlier
// attempts go on. An engine: it decides, and its owner connects.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tunnel/io/address.h"
#include "tunnel/io/clock.h"

namespace tunnel::io {

// All calls come from the clock.
class RaceOwner {
 public:
  virtual ~RaceOwner() = default;
  // Connect to address(index) now.
  virtual void on_attempt(std::size_t index) = 0;
  // Every address has failed. The race may be destroyed in it.
  virtual void on_all_failed() = 0;
};

class Race {
 public:
  static constexpr std::size_t kMaxAddresses = 16;  // the rest is not tried
  static constexpr Milliseconds kStagger{250};

  // In the resolver's order, which RFC 6724 gives; the first decides which family begins.
  Race(Clock& clock, const std::vector<Address>& addresses, RaceOwner& owner);

  void start() { timer_.start(Milliseconds(0)); }
  // The attempt is over and came to nothing; `why` in the system's words.
  void failed(std::size_t index, std::string why);

  [[nodiscard]] const Address& address(std::size_t index) const;
  // "192.0.2.1:16509: Connection refused; [2001:db8::1]:16509: no answer": all that were tried.
  [[nodiscard]] std::string account() const;

 private:
  struct Entry {
    Address address;
    bool over = false;
    std::string why;
  };
  void turn();

  RaceOwner& owner_;
  std::vector<Entry> entries_;
  std::size_t begun_ = 0;
  std::size_t over_ = 0;
  Timer timer_;
};

}  // namespace tunnel::io
