#include "proxy/command/bridge_targets.h"

#include <string_view>
#include <utility>

#include "base/check.h"
#include "conf/daemon_uris.h"
#include "conf/socket_path.h"
#include "conf/target.h"
#include "conf/text.h"
#include "conf/uri.h"

namespace proxy {
namespace {

using Wrong = std::optional<std::string>;

constexpr const char* kNothingNamed = "remote:///";
constexpr conf::Milliseconds kDrain{2000};

Wrong wrong_socket(const std::string& socket) {
  if (Wrong wrong = conf::wrong_socket_path(socket)) return wrong;
  if (socket.size() <= conf::kLongestSocketPath) return std::nullopt;
  return "the path " + conf::quoted(socket) + " is too long for a socket";
}

// A target of that name which opens `connect_name` and is meant by what `uri` means.
conf::TargetConfig at_socket(std::string_view name, std::string_view uri,
                             const std::string& socket) {
  auto parsed = conf::parse_uri(uri);
  CHECK(parsed.ok());
  conf::TargetConfig target;
  target.name = name;
  target.uri = uri;
  target.parsed = std::move(parsed).value();
  target.connect_name = conf::connect_name(target.parsed);
  target.tunnel.name = name;
  target.tunnel.transport = tunnel::Transport::unix;
  target.tunnel.sockets = {socket};
  return target;
}

// The URI by which a daemon on the login's host is reached for what `local` means.
std::string ssh_uri(const conf::SshLogin& login, const conf::RemoteCommand& command,
                    conf::Uri local) {
  const std::string scheme = local.driver + "+ssh:";
  local.user = login.user;
  local.host = login.host;
  local.port = login.port;
  const std::string fragment = std::exchange(local.fragment, {});
  std::string out = conf::shown_uri(local, scheme);
  for (const auto& [name, value] : local.parameters) conf::append_parameter(out, name, value);
  if (command.helper == tunnel::RemoteProxy::native) {
    conf::append_parameter(out, "proxy", "native");
  } else if (command.helper == tunnel::RemoteProxy::netcat) {
    conf::append_parameter(out, "socket", command.socket);
    if (command.netcat != "nc") conf::append_parameter(out, "netcat", command.netcat);
  }
  if (login.keyfile) conf::append_parameter(out, "keyfile", *login.keyfile);
  if (login.no_tty) conf::append_parameter(out, "no_tty", "1");
  return out;
}

Wrong wrong_local(const std::string& text, const conf::Uri& uri) {
  const auto transport = conf::transport_of(uri);
  if (transport == tunnel::Transport::unix && uri.host.empty()) return std::nullopt;
  return conf::quoted(text) + " leaves this host; only a driver of its own can be asked for here";
}

base::Result<conf::Uri, std::string> parse_local(const std::string& text) {
  auto parsed = conf::parse_uri(text);
  if (!parsed) {
    return base::Failure{conf::quoted(text) + " cannot be parsed as a URI: " + parsed.error().text};
  }
  if (Wrong wrong = wrong_local(text, *parsed)) return base::Failure{std::move(*wrong)};
  return std::move(parsed).value();
}

}  // namespace

Targets targets_of(const Chosen& chosen) {
  Targets targets = {chosen.target};
  if (!chosen.open_choice) return targets;
  for (const std::string_view uri : conf::kDaemonUris) {
    auto target = conf::target_of(uri, uri, chosen.environment);
    if (target) targets.push_back(std::move(target).value());
  }
  return targets;
}

TargetsResult targets_at(const std::string& socket) {
  if (Wrong wrong = wrong_socket(socket)) return base::Failure{std::move(*wrong)};
  Targets targets = {at_socket(socket, kNothingNamed, socket)};
  for (const std::string_view uri : conf::kDaemonUris) {
    targets.push_back(at_socket(uri, uri, socket));
  }
  return targets;
}

TargetsResult targets_via(const std::string& socket, const std::string& name) {
  if (Wrong wrong = wrong_socket(socket)) return base::Failure{std::move(*wrong)};
  if (conf::has_controls(name))
    return base::Failure{std::string("the name has control characters")};
  const auto parsed = conf::parse_uri(name);
  Targets targets = {at_socket(name, parsed ? name : kNothingNamed, socket)};
  if (!parsed) {
    for (const std::string_view uri : conf::kDaemonUris) {
      targets.push_back(at_socket(uri, uri, socket));
    }
  }
  for (conf::TargetConfig& target : targets) target.connect_name = name;
  return targets;
}

TargetsResult targets_over_ssh(const conf::SshLogin& login, const conf::RemoteCommand& command,
                               const conf::Environment& environment) {
  std::vector<std::string> uris = {command.name};
  if (command.helper == tunnel::RemoteProxy::netcat) {
    uris = {kNothingNamed};
    uris.insert(uris.end(), conf::kDaemonUris.begin(), conf::kDaemonUris.end());
  } else if (command.name.empty()) {
    uris = {kNothingNamed};
  }
  Targets targets;
  for (const std::string& text : uris) {
    auto local = parse_local(text);
    if (!local) return base::Failure{local.error()};
    const std::string uri = ssh_uri(login, command, std::move(local).value());
    auto target = conf::target_of(uri, uri, environment);
    if (!target) return base::Failure{target.error()};
    if (target->parsed.host != login.host) {
      return base::Failure{conf::quoted(login.host) + " cannot be the name of a host"};
    }
    targets.push_back(std::move(target).value());
  }
  return targets;
}

TargetsResult targets_of_helper(const std::string& uri, const conf::Environment& environment) {
  const std::string text = uri.empty() ? kNothingNamed : uri;
  auto local = parse_local(text);
  if (!local) return base::Failure{local.error()};
  auto target = conf::target_of(text, text, environment);
  if (!target) return base::Failure{target.error()};
  return Targets{std::move(target).value()};
}

bool is_local_xen(const conf::TargetConfig& target) {
  const conf::Uri& uri = target.parsed;
  return uri.driver == "xen" && target.tunnel.transport == tunnel::Transport::unix &&
         (uri.path == "/" || uri.path == "/system") && uri.parameters.empty();
}

conf::Config bridge_config(Targets targets, const std::optional<conf::Config>& base) {
  CHECK(!targets.empty());
  conf::Config config;
  if (base) {
    config.limits = base->limits;
    config.rules = base->rules;
  }
  config.limits.drain_timeout = kDrain;
  conf::Listen listen;
  listen.path = "standard input";
  listen.target = targets.front().name;
  config.listen.push_back(std::move(listen));
  for (conf::TargetConfig& target : targets) target.upstreams = 1;
  config.targets = std::move(targets);
  return config;
}

}  // namespace proxy
