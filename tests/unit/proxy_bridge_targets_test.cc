// A bridge opens only daemons that its command names or allows, and a remote command that means no
// daemon of that host is refused.
#include <algorithm>
#include <set>

#include "conf/daemon_uris.h"
#include "conf/names.h"
#include "conf/target.h"
#include "proxy/command/bridge_targets.h"
#include "tests/unit/support/catch.h"

namespace {

using proxy::Targets;
using tunnel::RemoteProxy;

conf::Environment user() {
  conf::Environment environment;
  environment.uid = 1000;
  environment.home = "/home/u";
  environment.runtime_directory = "/run/user/1000";
  return environment;
}

// What goes upstream when the bridge's client opens `name`; nothing: it is refused.
std::optional<std::string> sent(const Targets& targets, std::optional<std::string_view> name) {
  const conf::Config config = proxy::bridge_config(targets, std::nullopt);
  const auto meaning = conf::meaning_of(name, config, config.listen.front(), {});
  if (!meaning) return std::nullopt;
  CHECK(meaning->targets.size() == 1);
  const conf::TargetConfig* target = config.find(meaning->targets.front());
  REQUIRE(target != nullptr);
  return target->connect_name;
}

Targets good(const proxy::TargetsResult& targets) {
  if (!targets) FAIL(targets.error());
  return *targets;
}

std::string error(const proxy::TargetsResult& targets) {
  REQUIRE_FALSE(targets);
  return targets.error();
}

void check_hostile_names(const Targets& targets) {
  for (const std::string name :
       {"qemu+ssh://evil/system", "qemu+tcp://evil/system", "test:///etc/shadow",
        "qemu:///nonsense", "qemu:///system?socket=/run/other", "esx://evil/",
        "remote+unix:///?socket=/run/other", "qemu+ext:///system?command=/bin/sh", "$(id)",
        "../../x"}) {
    INFO(name);
    CHECK_FALSE(sent(targets, name));
  }
}

}  // namespace

TEST_CASE("every usual URI is one of a daemon", "[bridge_targets]") {
  std::set<std::string_view> seen;
  for (const std::string_view uri : conf::kDaemonUris) {
    INFO(std::string(uri));
    CHECK(seen.insert(uri).second);
    const auto target = conf::target_of(uri, uri, user());
    REQUIRE(target);
    CHECK(target->connect_name == uri);
    CHECK(target->tunnel.transport == tunnel::Transport::unix);
  }
}

TEST_CASE("at a socket the client chooses among the usual URIs, and nothing else",
          "[bridge_targets]") {
  const Targets targets = good(proxy::targets_at("/run/libvirt/libvirt-sock"));
  CHECK(sent(targets, std::nullopt) == "");
  CHECK(sent(targets, "") == "");
  CHECK(sent(targets, "qemu:///system") == "qemu:///system");
  CHECK(sent(targets, "xen:///") == "xen:///system");
  CHECK(sent(targets, "test:///default") == "test:///default");
  check_hostile_names(targets);
  for (const conf::TargetConfig& target : targets) {
    CHECK(target.tunnel.sockets == std::vector<std::string>{"/run/libvirt/libvirt-sock"});
  }
  for (const std::string path : {"", "relative", "/folder/", "/a\nb"}) {
    CHECK_FALSE(proxy::targets_at(path));
  }
  CHECK_FALSE(proxy::targets_at('/' + std::string(107, 'a')));
}

TEST_CASE("through a gate only what the command names is opened", "[bridge_targets]") {
  const Targets named = good(proxy::targets_via("/run/gate", "hail"));
  CHECK(sent(named, std::nullopt) == "hail");
  CHECK(sent(named, "hail") == "hail");
  CHECK(sent(named, "qemu:///system") == "hail");
  CHECK(sent(named, "test:///default") == "hail");
  CHECK_FALSE(sent(named, "sleet"));
  check_hostile_names(named);

  const Targets uri = good(proxy::targets_via("@gate", "qemu+ssh://hail.example.com/system"));
  CHECK(sent(uri, "") == "qemu+ssh://hail.example.com/system");
  CHECK(sent(uri, "qemu:///system") == "qemu+ssh://hail.example.com/system");
  CHECK_FALSE(sent(uri, "qemu:///session"));
  CHECK_FALSE(sent(uri, "xen:///system"));
  check_hostile_names(uri);
  CHECK_FALSE(proxy::targets_via("gate", "hail"));
  CHECK_FALSE(proxy::targets_via("/run/gate", "a\nb"));
}

TEST_CASE("a host and a remote command of libvirt's make a target", "[bridge_targets]") {
  conf::SshLogin login;
  login.host = "::1";
  login.user = "u@dom";
  login.port = 2222;
  login.keyfile = "/k f";
  const Targets automatic = good(proxy::targets_over_ssh(
      login,
      {RemoteProxy::automatic, "nc", "/var/run/libvirt/libvirt-sock", "qemu:///system?x=a'b", true},
      user()));
  REQUIRE(automatic.size() == 1);
  const tunnel::Target& tunnel = automatic.front().tunnel;
  CHECK(tunnel.transport == tunnel::Transport::ssh);
  CHECK(tunnel.host == "::1");
  CHECK(tunnel.user == "u@dom");
  CHECK(tunnel.port == 2222);
  CHECK(tunnel.keyfile == "/k f");
  CHECK(tunnel.command.empty());
  CHECK(tunnel.proxy == tunnel::RemoteProxy::automatic);
  CHECK(tunnel.sockets.front() == "/var/run/libvirt/virtqemud-sock-ro");
  CHECK(sent(automatic, "qemu:///system") == "qemu:///system?x=a%27b");
  check_hostile_names(automatic);

  const Targets native = good(proxy::targets_over_ssh(
      login, {RemoteProxy::native, "", "", "qemu:///session", false}, user()));
  REQUIRE(native.size() == 1);
  CHECK(native.front().tunnel.proxy == tunnel::RemoteProxy::native);
  CHECK(native.front().tunnel.helper_uri == "qemu:///session");
}

TEST_CASE("netcat's remote command leaves the usual URIs to choose from", "[bridge_targets]") {
  conf::SshLogin login;
  login.host = "h";
  const Targets targets = good(proxy::targets_over_ssh(
      login, {RemoteProxy::netcat, "/opt/n c", "/run/my.sock", "", false}, user()));
  CHECK(targets.size() == conf::kDaemonUris.size() + 1);
  for (const conf::TargetConfig& target : targets) {
    CHECK(target.tunnel.host == "h");
    CHECK(target.tunnel.netcat == "/opt/n c");
    CHECK(target.tunnel.sockets == std::vector<std::string>{"/run/my.sock"});
  }
  CHECK(sent(targets, "lxc:///") == "lxc:///");
  CHECK(sent(targets, "") == "");
  check_hostile_names(targets);
}

TEST_CASE("a remote command that means no daemon of that host is refused", "[bridge_targets]") {
  conf::SshLogin login;
  login.host = "h";
  const auto refused = [&](const std::string& name) {
    return error(
        proxy::targets_over_ssh(login, {RemoteProxy::native, "", "", name, false}, user()));
  };
  CHECK(refused("qemu+ssh://other/system").find("leaves this host") != std::string::npos);
  CHECK(refused("qemu+ext:///system?command=/bin/sh").find("leaves") != std::string::npos);
  CHECK_FALSE(refused("nonsense").empty());
  CHECK_FALSE(refused("esx:///").empty());
  for (const std::string host : {"a/b", "a b", "a@b", "a?x=1", "a#b", "a]"}) {
    login.host = host;
    INFO(host);
    CHECK_FALSE(refused("qemu:///system").empty());
  }
}

TEST_CASE("virt-ssh-helper's URI is a driver of this host", "[bridge_targets]") {
  const Targets system = good(proxy::targets_of_helper("qemu:///system", user()));
  CHECK(system.front().tunnel.sockets.front() == "/run/libvirt/virtqemud-sock-ro");
  const Targets test = good(proxy::targets_of_helper("test:///default", user()));
  CHECK(test.front().tunnel.sockets == std::vector<std::string>{"/run/libvirt/libvirt-sock-ro"});
  CHECK(sent(test, "test:///default") == "test:///default");
  const Targets session = good(proxy::targets_of_helper("qemu:///session", user()));
  CHECK(session.front().tunnel.sockets.front() == "/run/user/1000/libvirt/virtqemud-sock");
  CHECK(sent(good(proxy::targets_of_helper("", user())), "") == "");
  for (const std::string uri : {"qemu+ssh://h/system", "qemu://h/system", "qemu+unix://h/system",
                                "qemu+ext:///system?command=/bin/sh", "qemu+tcp:///system", "x"}) {
    INFO(uri);
    CHECK_FALSE(proxy::targets_of_helper(uri, user()));
  }
}

TEST_CASE("an open choice is the local daemon's with the usual URIs", "[bridge_targets]") {
  auto target = conf::target_of("t", "remote+unix:///", {});
  REQUIRE(target);
  proxy::Chosen chosen{*target, {}, std::nullopt, true};
  const Targets targets = proxy::targets_of(chosen);
  CHECK(sent(targets, "") == "");
  CHECK(sent(targets, "qemu:///system") == "qemu:///system");
  CHECK(targets[1].tunnel.sockets.front() == "/run/libvirt/virtqemud-sock-ro");
  check_hostile_names(targets);
  chosen.environment.remote_mode = "legacy";
  CHECK(proxy::targets_of(chosen)[1].tunnel.sockets.front() == "/run/libvirt/libvirt-sock-ro");
  chosen.open_choice = false;
  CHECK(proxy::targets_of(chosen).size() == 1);
}

TEST_CASE("only a local Xen falls back", "[bridge_targets]") {
  const auto xen = [](const std::string& uri) {
    const auto target = conf::target_of("t", uri, user());
    REQUIRE(target);
    return proxy::is_local_xen(*target);
  };
  CHECK(xen("xen:///"));
  CHECK(xen("xen:///system"));
  CHECK_FALSE(xen("xen:///system?socket=/s"));
  CHECK_FALSE(xen("xen+ssh://h/system"));
  CHECK_FALSE(xen("qemu:///system"));
}

TEST_CASE("a bridge keeps limits and rules of the configuration", "[bridge_targets]") {
  conf::Config base;
  base.limits.max_call = 4096;
  base.rules.rules.emplace_back();
  Targets targets = good(proxy::targets_at("/s"));
  const conf::Config config = proxy::bridge_config(targets, base);
  CHECK(config.limits.max_call == 4096);
  CHECK(config.rules.rules.size() == 1);
  CHECK(config.listen.front().target == targets.front().name);
  for (const conf::TargetConfig& target : config.targets) CHECK(target.upstreams == 1);
}

TEST_CASE("who may write gets the sockets of those who may", "[bridge_targets]") {
  const auto sockets = [](const std::string& uri) {
    const auto target = conf::target_of("t", uri, {}, conf::SocketAccess::read_write);
    REQUIRE(target);
    CHECK(target->tunnel.read_write);
    return target->tunnel.sockets;
  };
  using Paths = std::vector<std::string>;
  CHECK(sockets("qemu:///system") ==
        Paths{"/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"});
  CHECK(sockets("qemu:///system?socket=/run/libvirt/libvirt-sock") ==
        Paths{"/run/libvirt/libvirt-sock"});
  CHECK(sockets("qemu+ssh://h/system").back() == "/var/run/libvirt/libvirt-sock");
  const auto usual = conf::target_of("t", "qemu:///system", {});
  REQUIRE(usual);
  CHECK_FALSE(usual->tunnel.read_write);
}
