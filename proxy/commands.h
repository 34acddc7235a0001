// The commands that ask and end, each in a file of its own. The result is the exit code: 0 done, 1
// failed, 2 used wrongly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/bridge_arguments.h"

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

// `virtgate status`: what a running gate does.
struct StatusOptions {
  std::optional<std::string> control;  // its control socket; nothing: where it is by default
  bool json = false;
  bool watch = false;  // goes on showing it
};
int status(const StatusOptions& options);

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

// `virtgate bridge`: joins standard input and output to a target. Besides the exit codes of the
// others there is 128 + N: signal N ended it.
//
// Where sshd runs it as a forced command (SSH_ORIGINAL_COMMAND is set), what the client asked for
// has to be what libvirt's clients ask for, and decides nothing.
struct BridgeOptions {
  std::optional<std::string> uri;  // a target's name, an alias or a URI
  std::optional<std::string> config;
  std::optional<std::string> via;  // the socket of a running gate
  // A host and a port: bytes go there as they are, through the ssh connection of a target whose
  // configuration allows it.
  std::vector<std::string> connect;
  std::optional<std::string> through;  // that target; nothing: the first that allows it
  // Only the command line of `virtgate bridge` sets it.
  bool unfiltered = false;
  bool insecure = false;
  bool verbose = false;
  std::string gate_socket = "/run/virtgate/virtgate-sock";
};
int bridge(const BridgeOptions& options);

// The same with a target that the arguments of another program name.
int bridge_as_ssh(const SshRequest& request);
int bridge_as_helper(const std::string& uri);
int bridge_as_netcat(const std::string& socket);

}  // namespace proxy
