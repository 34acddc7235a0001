// What of a target hangs, for those who look at a running gate.
#pragma once

#include "proxy/record/snapshot.h"
#include "proxy/upstream/queue.h"
#include "proxy/upstream/silence.h"

namespace proxy {

// Its cost grows with the number of subjects and of calls at the daemon.
void describe_trouble(const Queue& queue, const Upstreams& upstreams, Milliseconds now,
                      TargetSnapshot& to);

// Each upstream, and how many calls lie at all of them.
void describe_upstreams(const Upstreams& upstreams, const Silence& silence, Milliseconds now,
                        TargetSnapshot& to);

}  // namespace proxy
