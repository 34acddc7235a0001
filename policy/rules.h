// Who may read what: plain values, filled by conf.
#pragma once

#include <string>
#include <vector>

namespace policy {

// Empty lists of users and groups match nobody when the other one is given, and everybody when both
// are empty.
struct AccessRule {
  std::vector<std::string> users;
  std::vector<std::string> groups;
  std::vector<std::string> targets;
  std::vector<std::string> allow;
  std::vector<std::string> deny;
};

struct Rules {
  std::vector<std::string> open_uris;
  std::vector<AccessRule> rules;
};

}  // namespace policy
