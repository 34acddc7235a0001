// Machines that hang at a daemon of a world, and how long that makes others wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "policy/procedures.h"
#include "tests/unit/support/world.h"

namespace test {

// A daemon at which calls about machines with such UUIDs hang.
inline void hang(World& world, std::uint8_t first, std::uint8_t last) {
  world.daemon().hold_if = [=](const policy::Header&, base::Bytes body) {
    return body.size() >= 28 && body[body.size() - 5] >= first && body[body.size() - 5] <= last;
  };
}

inline void answer_again(World& world) {
  world.daemon().hold_if = nullptr;
  world.daemon().answer_all();
  world.settle();
}

inline std::size_t most_held(World& world, std::chrono::seconds time) {
  std::size_t most = 0;
  for (int i = 0; i < 10 * time.count(); ++i) {
    world.pass(std::chrono::milliseconds(100));
    most = std::max(most, world.daemon().held.size());
  }
  return most;
}

// Asks once about each machine of so many, so that none is unknown any more.
inline void ask_of_ids(World& world, RawClient& client, std::uint32_t count) {
  for (std::uint32_t id = 0; id < count; ++id) {
    client.call(policy::Remote::DOMAIN_LOOKUP_BY_ID, words({id}));
    world.settle();
  }
}

// How long a call takes that nothing is wrong with; -1: it failed.
inline long time_of(World& world, RawClient& client, const base::Buffer& body) {
  const auto begun = world.clock.now();
  const auto serial = client.call(policy::Remote::DOMAIN_GET_STATE, [&] {
    base::Buffer with_flags = body;
    base::append(with_flags, words({0}));
    return with_flags;
  }());
  world.settle();
  for (int i = 0; i < 600 && client.reply(serial) == nullptr; ++i)
    world.pass(std::chrono::milliseconds(10));
  if (!client.ok(serial)) return -1;
  return static_cast<long>((world.clock.now() - begun).count());
}

}  // namespace test
