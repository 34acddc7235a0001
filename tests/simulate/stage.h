// What every actor of a run has.
#pragma once

#include "tests/simulate/judge.h"
#include "tests/simulate/plan.h"
#include "tests/simulate/random.h"
#include "tests/simulate/trace.h"
#include "tests/unit/support/memory_stream.h"
#include "tunnel/io/clock.h"

namespace simulate {

struct Stage {
  tunnel::io::Clock& clock;
  Trace& trace;
  Judge& judge;
  const Plan& plan;
};

// How an end of a stream gets its bytes, by the plan. `random` outlives it.
inline void deliver(test::MemoryStream& stream, const NetworkPlan& network, Random& random) {
  if (network.delay == 0 && network.piece == 0) return;
  stream.deliver([&random, network] {
    test::MemoryStream::Piece out;
    if (network.piece > 0) out.most = random.between(1, network.piece);
    if (network.delay > 0) out.after = random.time(0, network.delay);
    return out;
  });
}

}  // namespace simulate
