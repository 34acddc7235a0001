// Who may read what: plain values, filled by conf.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace policy {

// Whoever cannot be told from others at all. No rule can name it, and none matches it.
inline constexpr std::uint32_t kUnknown = 0xffffffff;

// What one user may use up under a rule, beyond the limits for all. 0: no more than those.
struct RuleLimits {
  std::uint32_t clients = 0;           // connections of one user at once
  std::uint32_t calls_per_second = 0;  // of one user; what comes faster waits
  std::uint32_t calls_in_flight = 0;   // of one user, at one daemon at once
  std::uint32_t queue = 0;             // of one user: calls taken and not yet answered
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

// The procedures that can be pretended: they make a daemon look again and change nothing else, and
// programs that only look give up when they are refused.
inline constexpr std::array<std::string_view, 1> kPretendable = {"STORAGE_POOL_REFRESH"};

// What becomes of a call for a description with its passwords.
enum class SecureXml : std::uint8_t { omit, refuse };

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
  // In place of those for all.
  std::optional<SecureXml> secure_xml = {};
  std::optional<std::vector<std::string>> pretend = {};
};

// What becomes of whom no rule matches.
enum class NoRule : std::uint8_t {
  allow_without_rules,  // everybody reads everything as long as there is no rule at all
  deny,
};

struct Rules {
  std::vector<OpenUri> open_uris;
  std::vector<AccessRule> rules;
  SecureXml secure_xml = SecureXml::omit;
  std::vector<std::string> pretend = {};  // procedures that are answered as done and not sent on
  NoRule otherwise = NoRule::allow_without_rules;

  // Whether anybody can be refused a target; false: whoever may connect may read them all.
  [[nodiscard]] bool restrict() const { return !rules.empty() || otherwise == NoRule::deny; }
};

}  // namespace policy
