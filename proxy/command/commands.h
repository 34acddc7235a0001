// The commands that ask and end, each in a file of its own. The result is the exit code: 0 done, 1
// failed, 2 used wrongly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/command/bridge_arguments.h"
#include "proxy/record/log.h"
#include "proxy/service/settings.h"

namespace proxy {

// `virtgate serve`: the gate as a process. Runs until a signal ends it.
struct ServeOptions {
  Sources sources;
  // Reads the configuration, reports what is wrong with it, and ends.
  bool check = false;
  // Of a check: a warning is a failure too.
  bool strict = false;
  // Of a check: as JSON.
  bool json = false;
};
int serve(const ServeOptions& options, Log& log);

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
  bool install = false;               // into libvirt.conf of the user, in place of printing them
};
int aliases(const AliasesOptions& options);

// `virtgate status`: what a running gate does.
struct StatusOptions {
  std::optional<std::string> control;  // its control socket; nothing: where it is by default
  bool json = false;
  bool watch = false;  // goes on showing it
};
int status(const StatusOptions& options);

// `virtgate reload`: has a running gate read its configuration again, and says what came of it.
struct ReloadOptions {
  std::optional<std::string> control;  // as above
};
int reload(const ReloadOptions& options);

// `virtgate policy list`: the table of procedures with its verdicts.
struct ListOptions {
  bool json = false;
  std::optional<std::string> pattern;  // of names, in any case; nothing: all
  // Verdicts for this user, by name or number, on that target; nothing: whoever calls.
  std::optional<std::string> user;
  std::vector<std::string> groups;  // besides those that the user is in
  std::string target;
  std::optional<std::string> config;
};
int list_policy(const ListOptions& options);

// `virtgate policy show`: what a user may read, on each target. 1: nothing at all.
struct ShowOptions {
  std::string user;                  // by name or number, as those that follow
  std::vector<std::string> groups;   // besides those that the user is in
  std::vector<std::string> targets;  // empty: all
  std::optional<std::string> config;
  bool json = false;
};
int show_policy(const ShowOptions& options);

// `virtgate policy matrix`: the same of everybody whom the rules tell apart.
struct MatrixOptions {
  std::vector<std::string> targets;  // empty: all
  std::optional<std::string> config;
  bool json = false;
};
int print_matrix(const MatrixOptions& options);

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
