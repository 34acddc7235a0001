// How much memory a gate may take for what its clients hold, when nobody has said so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace proxy {

// The smallest limit, in bytes, that a control group of this process or one above it has, of either
// version: memory.max, memory.high, memory.limit_in_bytes. `cgroups` is what /proc/self/cgroup
// says, `root` where the file systems of control groups are. Nothing: there is none, or it cannot
// be read.
std::optional<std::uint64_t> cgroup_memory(const std::string& cgroups, const std::string& root);

// Of the machine's memory a quarter, of a control group's half, whichever is less; in round
// numbers, from 64 MiB to 4 GiB.
std::uint64_t buffer_for(std::uint64_t machine, std::optional<std::uint64_t> cgroup);

// The same for this process, as it is when this is called first.
std::uint64_t usual_buffer();

}  // namespace proxy
