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

// What a URI without parameters consists of, as it is meant: the transport is there even where it
// was not written, and so is the port.
struct UriParts {
  std::string scheme;  // driver+transport
  std::string user;
  std::string host;  // in lower case, without brackets
  std::uint32_t port = 0;
  bool usual_port = true;  // the one that is meant where none is written
  std::string path;
};

// A pattern for each of them, with * for any characters of that part. Without a user it is for URIs
// without one, and without a port for the usual one.
struct UriPattern {
  std::string scheme;
  std::string user;
  std::string host;  // in lower case
  std::string port;
  std::string path;
};

// URIs that clients may name although no target has them.
struct OpenUri {
  UriPattern pattern;
  bool local_addresses = false;  // the host may be this one, or one that only the link reaches
};

// Empty lists of users and groups match nobody when the other one is given, and everybody when both
// are empty. Patterns have * for any characters.
struct AccessRule {
  std::vector<std::uint32_t> users;   // uids
  std::vector<std::uint32_t> groups;  // gids
  std::vector<std::string> targets;   // patterns of names; "*" is for open URIs as well
  std::vector<UriPattern> uris;       // the same of open URIs
  std::vector<std::string> allow;     // patterns of procedures
  std::vector<std::string> deny;      // of these, those that are not allowed all the same
  RuleLimits limits;
  std::string place;  // where it is written, for people
};

struct Rules {
  std::vector<OpenUri> open_uris;
  std::vector<AccessRule> rules;
};

}  // namespace policy
