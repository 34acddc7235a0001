// One look-up of a host's addresses by the system's resolver. Its deadline counts from when the
// host is being asked for; it may wait for that as long again, twice.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tunnel/io/address.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/resolver.h"
#include "tunnel/io/stream.h"

namespace tunnel::io {

class Loop;

class LookUp {
 public:
  using Answer = base::Result<std::vector<Address>, Reason>;

  // `done` is called once, from the loop; it may destroy the look-up. There is at least one address
  // in an answer. A name of more than 253 bytes is refused: resolvers have cut longer ones to a
  // different name.
  LookUp(Loop& loop, std::string host, std::uint16_t port, Milliseconds deadline,
         std::function<void(Answer)> done);
  LookUp(const LookUp&) = delete;
  LookUp& operator=(const LookUp&) = delete;
  // Gives up. The system may go on for a while, unheard.
  ~LookUp() = default;

  void start();

 private:
  void time_is_up();
  void answered(const Resolved& resolved);
  void finish(Answer answer);
  void fail(Reason::Kind kind, const std::string& text);

  Loop& loop_;
  std::string host_;
  std::uint16_t port_;
  Milliseconds deadline_;
  std::function<void(Answer)> done_;
  Resolver::Question question_;
  Milliseconds began_{0};
  // When it fires: what is known already, or that the resolver took too long.
  std::string refusal_;
  Timer timer_;
};

}  // namespace tunnel::io
