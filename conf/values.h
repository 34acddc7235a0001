// What the configuration says, as values. See virtgate.toml for what each means to a person.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "conf/forward.h"
#include "conf/mistake.h"
#include "conf/uri.h"
#include "policy/rules.h"
#include "policy/xen_abi.h"
#include "tunnel/target.h"

namespace conf {

using tunnel::io::Milliseconds;

struct Listen {
  std::string path;  // a leading @ means the abstract namespace. %t has been expanded
  mode_t mode = 0660;
  std::optional<gid_t> group;  // of the socket file; none: the process's own
  std::string target;  // what a name without a host means on this socket; empty: see names.h
  std::optional<policy::XenAbi> xen_proxy;  // its clients are those of the old Xen proxy
  Position position;
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

struct TargetConfig {
  std::string name;
  // As written.
  std::string uri;
  Protocol protocol = Protocol::rpc;
  // Only of protocol rpc.
  Uri parsed;
  // What an upstream opens.
  std::string connect_name;
  tunnel::Target tunnel;
  AuthSettings auth;
  // The most upstreams.
  std::uint32_t upstreams = 4;
  // The most upstreams beside those, while overdue calls hold others up.
  std::uint32_t spare = 2;
  // The most calls about one machine, or other object, at the daemon.
  std::uint32_t calls_per_subject = 2;
  // The most overdue calls at the daemon; with as many, further calls about their subjects wait.
  std::uint32_t overdue_calls = 8;
  // Whether statistics of all machines leave out what they would have to wait for.
  bool stats_nowait = false;
  // How old an answer may be that another client has had to the same question; 0: none is taken.
  Milliseconds max_age{0};
  // Of the libvirt connection, once the tunnel is there.
  Milliseconds open_timeout{10000};
  // From a call's arrival to its answer.
  Milliseconds call_timeout{30000};
  // How long a lost target may stay away before clients get errors.
  Milliseconds retry_timeout{10000};
  // How often an upstream that says nothing is asked whether it is there, and how many such
  // questions it may leave unanswered; 0: it is never asked.
  Milliseconds keepalive_interval{5000};
  std::uint32_t keepalive_count = 3;
  // How long the last upstream of a target that nobody uses is kept.
  Milliseconds idle_timeout{600000};
  // Where a bridge may connect through it.
  std::vector<Forward> forwards;
  Position position;

  bool operator==(const TargetConfig&) const = default;
};

// Whether two of the same kind mean the same, wherever they are written.
template <typename Value>
bool same_but_for_position(Value a, const Value& b) {
  a.position = b.position;
  return a == b;
}

struct Limits {
  std::uint32_t clients = 10000;
  std::uint32_t clients_per_user = 1000;
  // Taken from one client and not yet answered.
  std::uint32_t calls_per_client = 16;
  // Of events.
  std::uint32_t registrations_per_client = 256;
  // Hosts that clients have named, beyond the configuration's targets.
  std::uint32_t open_targets = 64;
  std::uint32_t open_targets_per_user = 8;
  // Bytes of answers and events that wait for one client to read.
  std::uint64_t client_buffer = 16U << 20;
  // The same for all clients of one user, and as many bytes of their calls that wait for answers.
  std::uint64_t user_buffer = 64U << 20;
  // The same for all users together, calls and answers. None: what fits the memory that there is.
  std::optional<std::uint64_t> buffer;
  // Bytes of records about one user in a day: of the log, and of the file of the audit.
  std::uint64_t user_log = 16U << 20;
  std::uint64_t user_audit = 1U << 30;
  // Bytes of one message from a daemon.
  std::uint32_t max_message = 32U << 20;
  // Bytes of one message from a client.
  std::uint32_t max_call = 1U << 20;
  // From accepting a client to its open.
  Milliseconds open_timeout{30000};
  // A client that reads nothing for so long, or does not finish a message, is ended.
  Milliseconds write_timeout{60000};
  // For calls in flight when the gate stops.
  Milliseconds drain_timeout{10000};
  // Of clients; 0: no pings.
  Milliseconds keepalive_interval{5000};
  std::uint32_t keepalive_count = 5;
};

// The record of what clients did.
struct AuditConfig {
  std::string file;    // of JSON lines; empty: none
  bool calls = false;  // each call is recorded too
  // How long a record may wait to be brought to the disk; 0: until those that were made with it
  // are written; none: as long as the system lets it.
  std::optional<Milliseconds> sync = Milliseconds(1000);
};

// Where the running gate answers `virtgate status`.
struct Control {
  std::string path;            // of a socket; empty: beside the first one of [[listen]]
  std::optional<gid_t> group;  // who may ask besides its own user and root, and hears everything
  Position position;
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
  Position position;  // of the socket

  bool operator==(const Metrics&) const = default;
};

struct Config {
  std::vector<Listen> listen;
  std::vector<TargetConfig> targets;
  policy::Rules rules;
  AuditConfig audit;
  Control control;
  Metrics metrics;
  Limits limits;

  [[nodiscard]] const TargetConfig* find(std::string_view name) const;
  // The target that a socket is for, where that is a xend: then the socket's clients speak HTTP.
  [[nodiscard]] const TargetConfig* xend_of(const Listen& socket) const;
  // Whether the socket's clients are those of libvirt today.
  [[nodiscard]] bool speaks_rpc(const Listen& socket) const;
};

}  // namespace conf
