// One run of a seed: a gate, its daemons and its clients, from the first connection until nothing
// is left. What it proves and how a seed is debugged stands in main.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

namespace simulate {

struct Verdict {
  std::string failed_check;  // empty: everything held
  std::string what;
  std::string plan;
  std::uint64_t lines = 0;
  std::uint64_t hash = 0;  // of the trace
  std::uint64_t answers = 0;
  std::deque<std::string> last;  // lines of it
};

// `shown`: the trace is printed as it comes. A run that fails is not tidied up.
Verdict run(std::uint64_t seed, bool shown = false);

// The last lines of the run that is under way, on standard error; for when the process dies.
void print_unfinished();

}  // namespace simulate
