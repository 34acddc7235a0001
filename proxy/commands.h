// The commands that ask and end, each in a file of its own. The result is the exit code: 0 done, 1
// failed, 2 used wrongly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace proxy {

// `virtgate resolve`: what a URI means to libvirt's client and, with a configuration, to the gate.
struct ResolveOptions {
  std::optional<std::string> uri;
  std::optional<std::string> config;
  bool json = false;
  bool read_only = false;
};
int resolve(const ResolveOptions& options);

// `virtgate ping`: opens a connection and measures it.
struct PingOptions {
  std::optional<std::string> what;  // a target's name, an alias or a URI
  std::optional<std::string> config;
  std::uint32_t count = 1;
  bool json = false;
  bool insecure = false;  // what is not protected is accepted
};
int ping(const PingOptions& options);

// `virtgate aliases`: lines for the libvirt.conf of the gate's clients.
struct AliasesOptions {
  std::optional<std::string> config;
  std::optional<std::string> socket;  // nothing: the first that the gate listens on
};
int aliases(const AliasesOptions& options);

// `virtgate policy list`: the table of procedures with its verdicts.
int list_policy(bool json);

// `virtgate policy explain`: what a user's call of a procedure would come to. 0: it passes; 1: it
// is refused, or there is no configuration to tell by.
struct ExplainOptions {
  std::string user;                 // by name or number, as those that follow
  std::vector<std::string> groups;  // besides those that the user is in
  std::string target;
  std::string procedure;
  std::optional<std::uint32_t> flags;
  std::optional<std::string> config;
};
int explain_policy(const ExplainOptions& options);

}  // namespace proxy
