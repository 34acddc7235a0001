// What libvirt's client library makes of a connection URI, or of none, on the user's side: where
// the text comes from, what it stands for, which driver and transport it means, which socket or
// command leads there, and what is sent. Measured against libvirt 9.0.
//
// A gate treats some of it otherwise; that is told apart, in the notes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/environment.h"
#include "conf/libvirt_conf.h"
#include "conf/uri.h"

namespace conf {

// What of the process a client looks at beyond what Environment has. Of that, remote_mode and
// remote_proxy are not looked at: libvirt.conf has them.
struct ClientEnvironment {
  Environment process;
  std::string virsh_default_connect_uri;  // empty: unset; so with all of these
  std::string libvirt_default_uri;
  std::optional<std::string> libvirt_autostart;
  std::string search_path;  // PATH
};

ClientEnvironment client_environment();

// Flags of virConnectOpenAuth(); unknown ones are ignored there as here.
inline constexpr unsigned kConnectReadOnly = 1;
inline constexpr unsigned kConnectNoAliases = 2;

// Flags that are sent with the open, beside read-only.
inline constexpr unsigned kOpenUserDaemon = 2;
inline constexpr unsigned kOpenAutostart = 4;

struct UriQuestion {
  std::optional<std::string> text;  // nothing: no argument; an empty one is something else
  unsigned flags = 0;
};

// Whether there is a file of that path, a socket or a program.
using Exists = std::function<bool(const std::string& path)>;

struct SocketCandidate {
  std::string path;
  std::optional<bool> exists;  // nothing: it is on the far host
};

enum class ParameterUse : std::uint8_t {
  here,        // the transport takes it for itself
  stripped,    // another transport would; the daemon never sees it
  passed_on,   // the daemon sees it
  dropped,     // the name that is sent has no room for it
  overridden,  // a later one of that name counts
  driver,      // there is no daemon; the driver in the client sees it
};

// "used here", "stripped", ...
std::string_view parameter_use_name(ParameterUse use);

struct ParameterMeaning {
  std::string name;
  std::string value;
  ParameterUse use = ParameterUse::here;
};

// All texts may hold what the caller wrote, and are to be escaped where they are shown.
struct Resolution {
  std::optional<std::string> input;
  std::vector<std::string> steps;  // in words, in order
  // "argument", "VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI", "uri_default" or "probing".
  std::string source;
  std::optional<std::string> alias;  // the one that was looked up and found
  std::string uri;  // what virConnectGetURI() gives; empty: whatever the daemon says
  Uri parsed;
  std::string driver;
  std::string transport;  // "unix", "ssh", ...; empty: the driver works in the client
  std::string user;
  std::string host;
  std::uint32_t port = 0;  // 0: none
  std::string path;
  bool secure = false;
  std::optional<std::string> socket;
  std::vector<SocketCandidate> candidates;
  std::vector<std::string> command;  // what is started, with its arguments
  std::optional<std::string> name;   // what the open sends; nothing: nothing is sent
  unsigned flags = 0;
  std::vector<ParameterMeaning> parameters;
  std::vector<std::string> notes;
  // No daemon of libvirt is known to open it: the driver or its path does not exist. A note says
  // so.
  bool hopeless = false;
  // Why there is no connection; the rest is what was known by then.
  std::optional<std::string> error;
};

Resolution resolve(const UriQuestion& question, const ClientEnvironment& environment,
                   const LibvirtConf& libvirt, const Exists& exists);

}  // namespace conf
