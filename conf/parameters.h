// The transports of a URI, and the parameters that they take for themselves: one table for all
// reads a URI, as libvirt's clients do or as a gate does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/uri.h"
#include "tunnel/target.h"

namespace conf {

// "there is no transport "shs"; did you mean "ssh"?"
std::string no_transport(std::string_view name);

// Of a transport's name in lower case; nothing when there is no such transport.
std::optional<tunnel::Transport> transport_named(std::string_view name);

// A set of transports. libvirt has three of ssh, which a gate has as one.
using Transports = std::uint8_t;

struct Parameter {
  std::string_view name;
  // The transports with which libvirt's clients use it. With all others they take it out of the
  // URI, and it has no effect.
  Transports libvirt = 0;
  // The transports with which a gate uses it.
  Transports gate = 0;
};

std::span<const Parameter> transport_parameters();

// Names compare without case. nullptr: no transport takes it, and a daemon sees it.
const Parameter* find_parameter(std::string_view name);

// Whether the transport, by the name that the URI has or means, uses the parameter.
bool used_by_libvirt(const Parameter& parameter, std::string_view transport);
bool used_by_gate(const Parameter& parameter, tunnel::Transport transport);

// mode=: which of a host's sockets are a driver's.
enum class SocketMode : std::uint8_t { automatic, legacy, direct };

// A value as a URI has it, or else libvirt.conf.
template <typename Value>
struct Given {
  Value value{};
  std::string word;
  std::string where;  // "mode=", "remote_mode of libvirt.conf"
};

// What readers return: the value, nothing where it is not given, or what is wrong with it.
template <typename Value>
using GivenResult = base::Result<std::optional<Given<Value>>, std::string>;

// mode= or else `remote_mode`, and proxy= or else `remote_proxy`; empty ones are not given.
GivenResult<SocketMode> given_mode(const Uri& uri, const std::string& remote_mode);
GivenResult<tunnel::RemoteProxy> given_proxy(const Uri& uri, const std::string& remote_proxy);

// Reads a switch such as no_verify=, and leaves `to` where there is none. Returns what is wrong.
std::optional<std::string> read_switch(const Uri& uri, std::string_view name, bool& to);

// auth=; nothing: it is not given.
base::Result<std::optional<std::string>, std::string> given_auth(const Uri& uri);

// What the far host of an ssh connection runs: as `proxy` says, and where that is not given, netcat
// for a socket= and virt-ssh-helper for a user's own daemon, whose socket only the far host knows.
// netcat= means netcat. Nothing: netcat= is given where virt-ssh-helper is to be used.
std::optional<tunnel::RemoteProxy> chosen_proxy(const Uri& uri,
                                                std::optional<tunnel::RemoteProxy> proxy,
                                                bool user_daemon);

}  // namespace conf
