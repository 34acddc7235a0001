// How many descriptors the process may have, and how many of the last ones are kept for whom.
//
// The system gives out the lowest number that is free, so that one near the limit tells that the
// others are taken.
#pragma once

#include <algorithm>
#include <cstddef>

namespace tunnel::io {

// For control, metrics and files: no connection to a target takes the last ones. In all but very
// small processes 16.
inline constexpr std::size_t kKeptFromDials = 16;
// For that and connections to targets: no client takes the last ones.
inline constexpr std::size_t kKeptFromClients = 64;

// In words, where the process could still have one.
inline constexpr const char* kNoneLeft =
    "this process has no descriptors left for it; see RLIMIT_NOFILE";

// Of a limit, so many at most that some are left for what they are kept from.
inline std::size_t kept(std::size_t most, std::size_t limit) { return std::min(most, limit / 8); }

// RLIMIT_NOFILE as it is now.
std::size_t descriptor_limit();

// The hard limit.
std::size_t most_descriptors();

// Raises it to the hard limit, as far as the system lets us, and gives what it is then.
std::size_t raise_descriptor_limit();

// How many there are. It costs a look at each.
std::size_t descriptors_in_use();

// Whether a new descriptor is one of those that are kept from connections to targets.
bool is_kept(int fd);

}  // namespace tunnel::io
