// Two runs with the same lines have the same hash, and only the last lines are kept.
#include "tests/simulate/trace.h"

#include <cstdio>

#include <fmt/format.h>

namespace simulate {

void Trace::line(const std::string& text) {
  std::string whole = fmt::format("{:>7} {}", clock_.now().count(), text);
  hash_ = fnv(whole, hash_);
  ++lines_;
  if (shown_) std::printf("%s\n", whole.c_str());
  if (last_.size() == kKept) last_.pop_front();
  last_.push_back(std::move(whole));
}

}  // namespace simulate
