// Machines that hang at a daemon of a world, and how long that makes others wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "policy/procedures.h"
#include "policy/rules.h"
#include "tests/unit/support/world.h"

namespace test {

// Whether a call with this body is about a machine with such a UUID.
inline bool is_about(base::Bytes body, std::uint8_t first, std::uint8_t last) {
  return body.size() >= 28 && body[body.size() - 5] >= first && body[body.size() - 5] <= last;
}

// A daemon at which calls about machines with such UUIDs hang.
inline void hang(World& world, std::uint8_t first, std::uint8_t last) {
  world.daemon().hold_if = [=](const policy::Header&, base::Bytes body) {
    return is_about(body, first, last);
  };
}

// Calls at the daemon about machines with such UUIDs.
inline std::size_t held_about(World& world, std::uint8_t first, std::uint8_t last) {
  return static_cast<std::size_t>(std::ranges::count_if(
      world.daemon().held, [=](const auto& call) { return is_about(call.body, first, last); }));
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

// A rule for these users, or for all, by which each may have so many calls at the daemon; 0: as
// many as the pool lets it.
inline void allow_calls(World& world, std::uint32_t most, std::vector<std::uint32_t> users = {}) {
  policy::AccessRule rule;
  rule.users = std::move(users);
  rule.targets = rule.allow = {"*"};
  rule.limits.calls_in_flight = most;
  world.config.rules.rules = {rule};
}

// So many clients of a user. One client has no more than four calls at the daemon.
inline std::vector<RawClient*> clients_of(World& world, uid_t uid, std::size_t count) {
  std::vector<RawClient*> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(&world.opened("hail", uid));
  return out;
}

// Asks about each of these machines once; the clients take turns. The serials of the calls.
inline std::vector<std::uint32_t> ask(const std::vector<RawClient*>& clients, std::uint8_t first,
                                      std::uint8_t last,
                                      policy::Remote procedure = policy::Remote::DOMAIN_GET_INFO) {
  std::vector<std::uint32_t> serials;
  for (std::uint8_t one = first; one <= last; ++one) {
    serials.push_back(clients[(one - first) % clients.size()]->call(procedure, machine(one)));
  }
  return serials;
}

// Asks about each machine of so many, so that none is unknown any more: once which one it is, and
// once more about that.
inline void ask_of_ids(World& world, RawClient& client, std::uint32_t count) {
  for (std::uint32_t i = 0; i < 2 * count; ++i) {
    client.call(policy::Remote::DOMAIN_LOOKUP_BY_ID, words({i % count}));
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
