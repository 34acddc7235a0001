// What a process says when there is no more memory: who held how much of it. It ends at once, with
// an exit status of its own, and nothing else is destroyed or said.
#pragma once

#include <functional>

#include "proxy/record/snapshot.h"

namespace proxy {

// Exit status of a process that had no more memory: EX_OSERR of sysexits.h.
inline constexpr int kOutOfMemory = 71;

// From now on this process ends so. Before it starts threads.
void end_when_memory_ends();

// Who holds what, as long as this lives; at most one does at a time. `use` must not allocate, and
// is called in the thread that made this, from within whatever allocates there.
class MemoryAccount {
 public:
  explicit MemoryAccount(std::function<MemoryUse()> use);
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;
  ~MemoryAccount();
};

}  // namespace proxy
