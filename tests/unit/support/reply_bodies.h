// Replies and events made from their signatures, for tests that go through the whole table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace test {

struct ReplyBody {
  base::Buffer bytes;
  // Where the words are that say how the rest is to be read.
  std::vector<std::size_t> lengths;  // of strings
  std::vector<std::size_t> opaque;   // their lengths
  std::vector<std::size_t> counts;
  std::vector<std::size_t> discriminators;
  std::vector<std::size_t> types;  // of parameters
  std::vector<std::size_t> small;  // numbers that fill no word
  std::vector<std::size_t> padding;
};

// A reply that passes as the answer to a call with these arguments, or an event's message. What the
// call leaves open depends on `seed`; the same call and seed bring the same reply.
ReplyBody reply_of(const policy::Procedure& procedure, base::Bytes call, std::uint64_t seed);

// A reply of one string that is `size` bytes long, a multiple of four.
base::Buffer text_reply(std::size_t size);

// Bulk statistics of so many machines: each has so many parameters with no name and the number 0.
base::Buffer empty_statistics(std::uint32_t machines, std::uint32_t parameters);

// The usual reply of a ScriptedDaemon.
base::Buffer usual_reply(policy::Remote procedure, base::Bytes call);

}  // namespace test
