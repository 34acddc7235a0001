// What the configuration says, as values. See virtgate.toml for what each means to a person.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "conf/environment.h"
#include "conf/forward.h"
#include "conf/uri.h"
#include "policy/rules.h"
#include "tunnel/target.h"

namespace conf {

using tunnel::io::Milliseconds;

// A place in a file; line and column count from 1, and 0 means the whole.
struct Place {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool operator==(const Place&) const = default;
};

// A text and where it stands.
struct Placed {
  std::string text;
  Place place;
};

// A mistake: where, and what is wrong, in words that name it.
struct Mistake {
  Place place;
  std::string text;
};

// "file:line:column: text", leaving out what is not known.
std::string to_string(const Mistake& mistake);

// How the clients of the old Xen proxy lay structures out: the sizes of their long and its
// alignment.
enum class XenAbi : std::uint8_t { x86_64, i386 };

struct Listen {
  std::string path;  // a leading @ means the abstract namespace. %t has been expanded
  mode_t mode = 0660;
  std::optional<gid_t> group;  // of the socket file; none: the process's own
  std::string target;  // what a name without a host means on this socket; empty: see names.h
  std::optional<XenAbi> xen_proxy;  // its clients are those of the old Xen proxy
  Place place;
};

// How an upstream says who it is when the daemon asks.
struct AuthSettings {
  std::string request;   // auth= of the URI: "polkit", "sasl" or "sasl.MECHANISM"; empty: as asked
  std::string authfile;  // authfile= of the URI; empty: see auth_conf.h

  bool operator==(const AuthSettings&) const = default;
};

enum class Protocol : std::uint8_t {
  rpc,   // libvirt's, to one of its daemons
  xend,  // HTTP, to a legacy xend; see xend_target.h
};

struct Target {
  std::string name;
  std::string uri;  // as written
  Protocol protocol = Protocol::rpc;
  Uri parsed;                // of rpc
  std::string connect_name;  // what an upstream opens
  tunnel::Target tunnel;
  AuthSettings auth;
  std::uint32_t upstreams = 4;       // at most
  Milliseconds open_timeout{10000};  // of the libvirt connection, once the tunnel is there
  Milliseconds call_timeout{30000};  // from a call's arrival to its answer
  Milliseconds retry_timeout{
      10000};  // how long a lost target may stay away before clients get errors
  Milliseconds idle_timeout{
      600000};                    // the last upstream of a target that nobody uses is kept so long
  std::vector<Forward> forwards;  // where a bridge may connect through it
  Place place;

  bool operator==(const Target&) const = default;
};

// Whether two of the same kind mean the same, wherever they are written.
template <typename Placeable>
bool same_but_for_place(Placeable a, const Placeable& b) {
  a.place = b.place;
  return a == b;
}

struct Limits {
  std::uint32_t clients = 10000;
  std::uint32_t clients_per_user = 1000;
  std::uint32_t calls_per_client = 16;           // taken from one client and not yet answered
  std::uint32_t registrations_per_client = 256;  // of events
  std::uint32_t open_targets = 64;  // that clients have named, beyond the configuration's
  std::uint32_t open_targets_per_user = 8;
  std::uint64_t client_buffer =
      16U << 20;  // bytes of answers and events that wait for one client to read
  // The same for all clients of one user, and as many bytes of their calls that wait for answers.
  std::uint64_t user_buffer = 64U << 20;
  std::uint32_t max_message = 32U << 20;  // bytes of one message from a daemon
  std::uint32_t max_call = 1U << 20;      // bytes of one message from a client
  Milliseconds open_timeout{30000};       // from accepting a client to its open
  // A client that reads nothing for so long, or does not finish a message, is ended.
  Milliseconds write_timeout{60000};
  Milliseconds drain_timeout{10000};      // for calls in flight when the gate stops
  Milliseconds keepalive_interval{5000};  // 0: no pings
  std::uint32_t keepalive_count = 5;
};

// The record of what clients did.
struct Audit {
  std::string file;    // of JSON lines; empty: none
  bool calls = false;  // each call is recorded too
};

// Where the running gate answers `virtgate status`.
struct Control {
  std::string path;  // of a socket; empty: beside the first one of [[listen]]
  Place place;
};

// Where what the gate counts can be read.
struct Metrics {
  std::string socket;  // a path; empty: none
  mode_t mode = 0660;
  std::optional<gid_t> group;  // of the socket file; none: the process's own
  std::string host;            // an address of this machine's own, without brackets; empty: none
  std::uint16_t port = 0;
  std::string textfile;  // empty: none
  Milliseconds interval{15000};
  Place place;  // of the socket

  bool operator==(const Metrics&) const = default;
};

struct Config {
  std::vector<Listen> listen;
  std::vector<Target> targets;
  policy::Rules rules;
  Audit audit;
  Control control;
  Metrics metrics;
  Limits limits;

  [[nodiscard]] const Target* find(std::string_view name) const;
  // The target that a socket is for, where that is a xend: then the socket's clients speak HTTP.
  [[nodiscard]] const Target* xend_of(const Listen& socket) const;
  // Whether the socket's clients are those of libvirt today.
  [[nodiscard]] bool speaks_rpc(const Listen& socket) const;
};

// What is wrong with the path of a socket, as [[listen]] takes it; nothing: it is one. Its length
// is another matter where %t stands for something.
std::optional<std::string> wrong_socket_path(std::string_view path);

// Larger files are refused unread.
inline constexpr std::size_t kLargestConfig = 1U << 20;

struct Loaded {
  Config config;                   // complete only when there are no mistakes
  std::vector<Mistake> mistakes;   // in the order of files and lines
  std::vector<Placed> procedures;  // all patterns of the rules, for who knows the procedures
  std::vector<std::string> files;  // that were read
};

// One text. `file` is for places only.
Loaded parse_config(std::string_view text, const std::string& file,
                    const Environment& environment = process_environment());

// A file, and then each *.toml of the folder `drop_ins` in the order of their names, if that
// exists. Files that cannot be read are mistakes. A key of [limits] that several files set has the
// value of the last; rules and open_uris are appended; targets and sockets add up.
Loaded load_config(const std::string& file, const std::string& drop_ins,
                   const Environment& environment = process_environment());

// One target from its name and URI, as the table [targets] would make it; for the command line.
base::Result<Target, Mistake> make_target(std::string_view name, std::string_view uri,
                                          const Environment& environment = process_environment());

}  // namespace conf
