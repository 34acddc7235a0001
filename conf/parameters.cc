#include "conf/parameters.h"

#include <algorithm>
#include <array>
#include <utility>

#include "conf/text.h"

namespace conf {
namespace {

using tunnel::RemoteProxy;
using tunnel::Transport;

constexpr Transports kUnix = 1;
constexpr Transports kTcp = 2;
constexpr Transports kTls = 4;
constexpr Transports kSsh = 8;
constexpr Transports kLibssh = 16;
constexpr Transports kExt = 32;
constexpr Transports kAnySsh = kSsh | kLibssh;
constexpr Transports kAll = kUnix | kTcp | kTls | kAnySsh | kExt;

struct TransportName {
  std::string_view name;
  Transport transport;
  Transports bit;
};
constexpr std::array<TransportName, 7> kTransports = {{
    {"unix", Transport::unix, kUnix},
    {"tcp", Transport::tcp, kTcp},
    {"tls", Transport::tls, kTls},
    {"ssh", Transport::ssh, kSsh},
    {"libssh", Transport::ssh, kLibssh},
    {"libssh2", Transport::ssh, kLibssh},
    {"ext", Transport::ext, kExt},
}};

// no_sanity= is about a client's own certificates, which a gate always checks.
constexpr std::array<Parameter, 17> kParameters = {{
    {"name", kAll, kAll},
    {"mode", kUnix | kAnySsh, kUnix | kAnySsh},
    {"socket", kUnix | kAnySsh, kUnix | kAnySsh},
    {"proxy", kAnySsh, kAnySsh},
    {"command", kSsh | kExt, kAnySsh | kExt},
    {"netcat", kAnySsh, kAnySsh},
    {"keyfile", kAnySsh, kAnySsh},
    {"no_tty", kSsh, kAnySsh},
    {"no_verify", kSsh | kTls, kAnySsh | kTls},
    {"no_sanity", kTls, kTls},
    {"known_hosts", kLibssh, kAnySsh},
    {"known_hosts_verify", kLibssh, kAnySsh},
    {"sshauth", kLibssh, kAnySsh},
    {"pkipath", kTls, kTls},
    {"tls_priority", kTls, kTls},
    {"auth", kAll, kAll},
    {"authfile", kAll, kAll},
}};

template <typename Value>
using Words = std::array<std::pair<std::string_view, Value>, 3>;

constexpr Words<SocketMode> kModes = {{
    {"auto", SocketMode::automatic},
    {"legacy", SocketMode::legacy},
    {"direct", SocketMode::direct},
}};

constexpr Words<RemoteProxy> kProxies = {{
    {"auto", RemoteProxy::automatic},
    {"netcat", RemoteProxy::netcat},
    {"native", RemoteProxy::native},
}};

struct WordQuestion {
  std::string_view name;
  const std::string& otherwise;  // of libvirt.conf
  std::string_view known;        // for people
};

template <typename Value>
GivenResult<Value> given(const WordQuestion& question, const Uri& uri, const Words<Value>& words) {
  const auto own = uri.parameter(question.name);
  if (!own && question.otherwise.empty()) return std::optional<Given<Value>>();
  Given<Value> out;
  out.word = own.value_or(question.otherwise);
  out.where = std::string(own ? "" : "remote_").append(question.name);
  out.where += own ? "=" : " of libvirt.conf";
  const auto found = std::ranges::find(words, out.word, &Words<Value>::value_type::first);
  if (found == words.end()) {
    return base::Failure{out.where + " is " + quoted(out.word) + "; it must be " +
                         std::string(question.known)};
  }
  out.value = found->second;
  return std::optional(std::move(out));
}

}  // namespace

std::string no_transport(std::string_view name) {
  const std::string near = did_you_mean(name, kTransports, &TransportName::name);
  std::string text = "there is no transport " + quoted(name);
  return text + (near.empty() ? "; there are unix, tcp, tls, ssh, libssh, libssh2 and ext" : near);
}

std::optional<Transport> transport_named(std::string_view name) {
  for (const TransportName& one : kTransports) {
    if (one.name == name) return one.transport;
  }
  return std::nullopt;
}

std::span<const Parameter> transport_parameters() { return kParameters; }

const Parameter* find_parameter(std::string_view name) {
  const auto found = std::find_if(
      kParameters.begin(), kParameters.end(),
      [&](const Parameter& parameter) { return same_ignoring_case(parameter.name, name); });
  return found == kParameters.end() ? nullptr : &*found;
}

bool used_by_libvirt(const Parameter& parameter, std::string_view transport) {
  return std::any_of(kTransports.begin(), kTransports.end(), [&](const TransportName& one) {
    return one.name == transport && (parameter.libvirt & one.bit) != 0;
  });
}

bool used_by_gate(const Parameter& parameter, Transport transport) {
  return std::any_of(kTransports.begin(), kTransports.end(), [&](const TransportName& one) {
    return one.transport == transport && (parameter.gate & one.bit) != 0;
  });
}

GivenResult<SocketMode> given_mode(const Uri& uri, const std::string& remote_mode) {
  return given<SocketMode>({"mode", remote_mode, "auto, legacy or direct"}, uri, kModes);
}

GivenResult<RemoteProxy> given_proxy(const Uri& uri, const std::string& remote_proxy) {
  return given<RemoteProxy>({"proxy", remote_proxy, "auto, netcat or native"}, uri, kProxies);
}

std::optional<std::string> read_switch(const Uri& uri, std::string_view name, bool& to) {
  const auto value = uri.parameter(name);
  if (!value) return std::nullopt;
  const auto on = switch_value(*value);
  if (!on) {
    return std::string(name) + "= is " + quoted(*value) +
           "; it must be a decimal number, 0 for no and 1 for yes";
  }
  to = *on;
  return std::nullopt;
}

base::Result<std::optional<std::string>, std::string> given_auth(const Uri& uri) {
  constexpr std::string_view kMechanism = "sasl.";
  auto auth = uri.parameter("auth");
  const bool known = !auth || *auth == "sasl" || *auth == "polkit" ||
                     (auth->starts_with(kMechanism) && auth->size() > kMechanism.size());
  if (known) return auth;
  return base::Failure{"auth= is " + quoted(*auth) + "; it must be sasl, sasl.MECHANISM or polkit"};
}

std::optional<RemoteProxy> chosen_proxy(const Uri& uri, std::optional<RemoteProxy> proxy,
                                        bool user_daemon) {
  if (!proxy) {
    proxy = RemoteProxy::automatic;
    if (user_daemon) proxy = RemoteProxy::native;
    if (uri.parameter("socket")) proxy = RemoteProxy::netcat;
  }
  if (!uri.parameter("netcat")) return proxy;
  if (*proxy == RemoteProxy::native) return std::nullopt;
  return RemoteProxy::netcat;
}

}  // namespace conf
