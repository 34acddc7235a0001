// Who may read what: plain values, filled by conf.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace policy {

// What one user may use up under a rule, beyond the limits for all. 0: no more than those.
struct RuleLimits {
  std::uint32_t clients = 0;           // connections of one user at once
  std::uint32_t calls_per_second = 0;  // of one user; what comes faster waits
  std::uint32_t calls_in_flight = 0;   // of one client, at the daemon at once
  std::uint32_t queue = 0;             // of one client: calls taken and not yet answered
};

// Empty lists of users and groups match nobody when the other one is given, and everybody when both
// are empty. Patterns have * for any characters.
struct AccessRule {
  std::vector<std::uint32_t> users;   // uids
  std::vector<std::uint32_t> groups;  // gids
  std::vector<std::string> targets;   // patterns of names
  std::vector<std::string> allow;     // patterns of procedures
  std::vector<std::string> deny;      // of these, those that are not allowed all the same
  RuleLimits limits;
  std::string place;  // where it is written, for people
};

struct Rules {
  std::vector<std::string> open_uris;
  std::vector<AccessRule> rules;
};

}  // namespace policy
