// A target's URI becomes the sockets, command and parameters that libvirt's client uses, and an
// unprotected transport is refused unless the configuration means it.
#include <string>
#include <string_view>
#include <vector>

#include "conf/target.h"
#include "conf/values.h"
#include "tests/unit/support/catch.h"

namespace {

using conf::Environment;
using conf::target_of;
using tunnel::KnownHostsVerify;
using tunnel::RemoteProxy;
using tunnel::Transport;
using Sockets = std::vector<std::string>;

Environment root() { return {}; }

Environment user() {
  Environment environment;
  environment.uid = 65534;
  environment.runtime_directory = "/run/user/65534";
  environment.home = "/home/u";
  return environment;
}

conf::TargetConfig made(std::string_view uri, const Environment& environment = root()) {
  auto target = target_of("hail", uri, environment);
  INFO(uri << ": " << (target.ok() ? "" : target.error()));
  REQUIRE(target.ok());
  return std::move(target).value();
}

std::string refused(std::string_view uri, const Environment& environment = root()) {
  const auto target = target_of("hail", uri, environment);
  CAPTURE(uri);
  REQUIRE_FALSE(target.ok());
  return target.error();
}

}  // namespace

TEST_CASE("transports have libvirt's defaults", "[conf][target]") {
  struct Case {
    const char* uri;
    Transport transport;
    const char* host;
    int port;
  };
  const Case c = GENERATE(values<Case>({
      {"qemu:///system", Transport::unix, "", 0},
      {"qemu+unix:///system", Transport::unix, "", 0},
      {"qemu:system", Transport::unix, "", 0},
      {"nosuchdrv:///x", Transport::unix, "", 0},
      {"test:///default", Transport::unix, "", 0},
      {"qemu://localhost/system", Transport::tls, "localhost", 16514},
      {"test://h/default", Transport::tls, "h", 16514},
      {"remote://h/", Transport::tls, "h", 16514},
      {"qemu+tls:///system", Transport::tls, "localhost", 16514},
      {"qemu+tls://h:6000/system", Transport::tls, "h", 6000},
      {"qemu+tcp:///system", Transport::tcp, "localhost", 16509},
      {"qemu+TCP://h:0/system", Transport::tcp, "h", 16509},
      {"qemu+tcp://[::1]:5000/system", Transport::tcp, "::1", 5000},
      {"qemu+tcp://h:65535/system", Transport::tcp, "h", 65535},
      {"qemu+ssh://h/system", Transport::ssh, "h", 22},
      {"qemu+ssh:///system", Transport::ssh, "localhost", 22},
      {"qemu+libssh://h:2222/system", Transport::ssh, "h", 2222},
      {"qemu+libssh2://h/system", Transport::ssh, "h", 22},
      {"qemu+ext:///system?command=/c", Transport::ext, "", 0},
      {"qemu+ext://h/system?command=/c", Transport::ext, "h", 0},
      {"openvz+unix:///system", Transport::unix, "", 0},
      {"openvz+ssh://h/system", Transport::ssh, "h", 22},
      {"lxc://system/", Transport::tls, "system", 16514},
      {"qemu+ssh://system", Transport::ssh, "system", 22},
  }));
  const conf::TargetConfig target = made(c.uri);
  CAPTURE(c.uri);
  CHECK(target.tunnel.transport == c.transport);
  CHECK(target.tunnel.host == c.host);
  CHECK(target.tunnel.port == c.port);
  CHECK(target.tunnel.name == "hail");
  CHECK(target.uri == c.uri);
}

TEST_CASE("a target takes the read-only sockets of the system's daemons", "[conf][target]") {
  struct Case {
    const char* uri;
    Sockets sockets;
  };
  const Sockets qemu = {"/run/libvirt/virtqemud-sock-ro", "/run/libvirt/libvirt-sock-ro"};
  const Sockets far = {"/var/run/libvirt/virtqemud-sock-ro", "/var/run/libvirt/libvirt-sock-ro"};
  const Case c = GENERATE_COPY(values<Case>({
      {"qemu:///system", qemu},
      {"qemu:///session", qemu},
      {"qemu:///system?mode=auto", qemu},
      {"qemu:///system?mode=legacy", {"/run/libvirt/libvirt-sock-ro"}},
      {"qemu:///system?mode=direct", {"/run/libvirt/virtqemud-sock-ro"}},
      {"network:///system", {"/run/libvirt/virtnetworkd-sock-ro", "/run/libvirt/libvirt-sock-ro"}},
      {"test:///default", {"/run/libvirt/libvirt-sock-ro"}},
      {"remote+unix:///", {"/run/libvirt/libvirt-sock-ro"}},
      {"unix:///run/x", {"/run/libvirt/libvirt-sock-ro"}},
      {"qemu:///system?socket=/run/my%20sock", {"/run/my sock"}},
      {"qemu:///system?socket=/a&SOCKET=/b", {"/b"}},
      {"qemu:///system?socket=/b&mode=direct", {"/b"}},
      {"qemu:///system?socket=/run/libvirt/libvirt-sock", {"/run/libvirt/libvirt-sock-ro"}},
      {"qemu:///system?socket=/var/run/libvirt/libvirt-sock", {"/var/run/libvirt/libvirt-sock-ro"}},
      {"qemu:///system?socket=/run/libvirt/virtqemud-sock", {"/run/libvirt/virtqemud-sock-ro"}},
      {"qemu:///system?socket=/run/libvirt/libvirt-sock-ro", {"/run/libvirt/libvirt-sock-ro"}},
      {"qemu:///system?socket=/run/libvirt/libvirt-admin-sock",
       {"/run/libvirt/libvirt-admin-sock"}},
      {"qemu:///system?socket=/run/libvirt/x/libvirt-sock", {"/run/libvirt/x/libvirt-sock"}},
      {"qemu:///system?socket=/tmp/libvirt-sock", {"/tmp/libvirt-sock"}},
      {"qemu+ssh://h/system", far},
      {"qemu+ssh://h/system?mode=direct", {"/var/run/libvirt/virtqemud-sock-ro"}},
      {"test+ssh://h/default", {"/var/run/libvirt/libvirt-sock-ro"}},
      {"qemu+ssh://h/system?socket=/s", {"/s"}},
      {"qemu+ssh://h/system?socket=/run/libvirt/libvirt-sock", {"/run/libvirt/libvirt-sock-ro"}},
      {"qemu+tcp://h/system?socket=/s", {}},
  }));
  CAPTURE(c.uri);
  CHECK(made(c.uri).tunnel.sockets == c.sockets);
}

TEST_CASE("a user's own daemon has one socket, and only for users", "[conf][target]") {
  const Sockets qemu = {"/run/user/65534/libvirt/virtqemud-sock",
                        "/run/user/65534/libvirt/libvirt-sock"};
  CHECK(made("qemu:///session", user()).tunnel.sockets == qemu);
  CHECK(made("qemu:///session?x=1", user()).tunnel.sockets == qemu);
  CHECK(made("test+unix:///default", user()).tunnel.sockets == Sockets{qemu[1]});
  CHECK(made("qemu:///Session", user()).tunnel.sockets[0] == "/run/libvirt/virtqemud-sock-ro");
  CHECK(made("qemu:///system", user()).tunnel.sockets[0] == "/run/libvirt/virtqemud-sock-ro");
  CHECK(made("test:///default", user()).tunnel.sockets[0] == "/run/libvirt/libvirt-sock-ro");
  Environment bare = user();
  bare.runtime_directory.clear();
  CHECK(made("qemu:///session?mode=legacy", bare).tunnel.sockets ==
        Sockets{"/home/u/.cache/libvirt/libvirt-sock"});
}

TEST_CASE("libvirt.conf decides where the URI does not", "[conf][target]") {
  Environment environment;
  environment.remote_mode = "legacy";
  environment.remote_proxy = "native";
  CHECK(made("qemu:///system", environment).tunnel.sockets.size() == 1);
  CHECK(made("qemu:///system?mode=auto", environment).tunnel.sockets.size() == 2);
  CHECK(made("qemu+ssh://h/system", environment).tunnel.proxy == RemoteProxy::native);
  CHECK(made("qemu+ssh://h/system?proxy=auto", environment).tunnel.proxy == RemoteProxy::automatic);
  environment.remote_mode = "bogus";
  CHECK(refused("qemu:///system", environment) ==
        "remote_mode of libvirt.conf is \"bogus\"; it must be auto, legacy or direct");
}

TEST_CASE("ssh takes its parameters", "[conf][target]") {
  const auto t = made(
                     "qemu+ssh://u%40d@h/system?keyfile=/k%20f&known_hosts=/kh&netcat=/n%20c"
                     "&command=/c&sshauth=privkey,password,agent&known_hosts_verify=auto&no_tty=1")
                     .tunnel;
  CHECK(t.user == "u@d");
  CHECK(t.keyfile == "/k f");
  CHECK(t.known_hosts == "/kh");
  CHECK(t.netcat == "/n c");
  CHECK(t.command == "/c");
  CHECK(t.sshauth == Sockets{"privkey", "agent"});
  CHECK(t.known_hosts_verify == KnownHostsVerify::automatic);
  CHECK(t.proxy == RemoteProxy::netcat);
  CHECK(t.no_tty);
  CHECK_FALSE(t.no_verify);
  CHECK(made("qemu+ssh://h/?no_verify=1").tunnel.known_hosts_verify == KnownHostsVerify::ignore);
  CHECK(made("qemu+ssh://h/?no_verify=1&known_hosts_verify=normal").tunnel.known_hosts_verify ==
        KnownHostsVerify::normal);
}

TEST_CASE("the helper on the far side is chosen as libvirt does", "[conf][target]") {
  const auto proxy = [](const char* uri, const Environment& environment = root()) {
    return made(uri, environment).tunnel.proxy;
  };
  CHECK(proxy("qemu+ssh://h/system") == RemoteProxy::automatic);
  CHECK(proxy("qemu+ssh://h/system?socket=/s") == RemoteProxy::netcat);
  CHECK(proxy("qemu+ssh://h/system?netcat=nc") == RemoteProxy::netcat);
  CHECK(proxy("qemu+ssh://h/system?socket=/s&proxy=native") == RemoteProxy::native);
  CHECK(proxy("qemu+ssh://h/session") == RemoteProxy::automatic);
  CHECK(proxy("qemu+ssh://h/session", user()) == RemoteProxy::native);
  CHECK(made("qemu+ssh://h/session", user()).tunnel.sockets.empty());
  CHECK(made("qemu+ssh://h/session?socket=/s", user()).tunnel.sockets == Sockets{"/s"});
  CHECK(refused("qemu+ssh://h/session?proxy=netcat", user()) ==
        "netcat needs socket= here: only the far host knows the path of a session's socket");
  CHECK(refused("qemu+ssh://h/system?proxy=native&netcat=nc") ==
        "netcat= and proxy=native exclude each other");
}

TEST_CASE("the helper gets the name that the daemon gets", "[conf][target]") {
  struct Case {
    const char* uri;
    const char* helper;
  };
  const Case c = GENERATE(values<Case>({
      {"qemu+ssh://u@h:2/system?keyfile=/k", "qemu:///system"},
      {"qemu+ssh://h/system?mode=direct", "qemu:///system?mode=direct"},
      {"qemu+ssh://h/system?x=1&socket=/s%20p&mode=auto#f",
       "qemu:///system?x=1&mode=auto&socket=%2Fs%20p"},
      {"remote+ssh://h/system?mode=direct", ""},
      {"qemu+ssh://h/system?name=test:///default&mode=direct", "test:///default"},
      {"xen+ssh://h/", "xen:///"},
  }));
  CAPTURE(c.uri);
  CHECK(made(c.uri).tunnel.helper_uri == c.helper);
}

TEST_CASE("parameters of other transports are taken and have no effect", "[conf][target]") {
  const conf::TargetConfig target = made(
      "qemu+tcp://u@h/system?socket=/x&mode=direct&keyfile=&command=&pkipath=&sshauth=a"
      "&known_hosts_verify=x&netcat=n&proxy=native&tls_priority=N&authfile=/a&auth=sasl.gssapi");
  CHECK(target.connect_name == "qemu:///system");
  CHECK(target.tunnel.user.empty());
  CHECK(target.tunnel.command.empty());
  CHECK(made("qemu+tls://h/?pkipath=/p&no_verify=1&no_sanity=1").tunnel.pkipath == "/p");
  CHECK(made("qemu+ext:///?command=/opt/x%20y").tunnel.command == "/opt/x y");
}

TEST_CASE("numbers are read as libvirt reads them", "[conf][target]") {
  for (const char* yes : {"1", "-1", "+1", "%20%091", "0007", "2147483647"}) {
    CAPTURE(yes);
    CHECK(made(std::string("q+tls://h/?no_verify=") + yes).tunnel.no_verify);
  }
  for (const char* no : {"0", "-0", "%20+00"}) {
    CAPTURE(no);
    CHECK_FALSE(made(std::string("q+tls://h/?no_verify=") + no).tunnel.no_verify);
  }
  for (const char* name : {"no_verify", "no_sanity", "no_tty"}) {
    for (const char* wrong : {"", "yes", "0x1", "1%20", "--1", "1.0", "2147483648"}) {
      CHECK_THAT(refused(std::string("q+tcp://h/?") + name + "=" + wrong),
                 Catch::StartsWith(name) && Catch::EndsWith("0 for no and 1 for yes"));
    }
  }
}

TEST_CASE("what cannot be a target is refused with the reason", "[conf][target]") {
  struct Case {
    std::string uri;
    const char* why;
  };
  const std::string long_path = "/" + std::string(107, 'a');
  const Case c = GENERATE_COPY(values<Case>({
      {"hail",
       "the URI \"hail\" cannot be parsed: the URI does not begin with a driver and a "
       "colon, as qemu: does, at byte 5"},
      {"qemu+foo://h/",
       "there is no transport \"foo\"; there are unix, tcp, tls, ssh, libssh, "
       "libssh2 and ext"},
      {"a+tcp+tls://h/", "there is no transport \"tcp+tls\""},
      {"qemu+unix://host/system", "names the host \"host\""},
      {"qemu+ext:///system", "the transport ext needs command="},
      {"qemu+ext:///system?command=", "command= is empty"},
      {"qemu+tcp://h:65536/", "the port 65536 is too large"},
      {"esx://h/?no_verify=1", "there is no libvirt daemon"},
      {"vpx:///", "there is no libvirt daemon"},
      {"gsx+tcp://h/", "there is no libvirt daemon"},
      {"hyperv:///", "there is no libvirt daemon"},
      {"openvz:///system", "write \"openvz+unix:///system\""},
      {"vmwareplayer:///session", "write \"vmwareplayer+unix:///session\""},
      {"qemu:///embed?root=/x", "the path /embed"},
      {"qemu+tcp://h/embed", "the path /embed"},
      {"qemu://system", "\"qemu:///system\""},
      {"vbox://session/x", "\"vbox:///session\""},
      {"vz://system", "\"vz:///system\""},
      {"qemu:///system?mode=bogus", "mode= is \"bogus\"; it must be auto, legacy or direct"},
      {"qemu+tcp://h/?mode=", "mode= is \"\"; it must be auto, legacy or direct"},
      {"qemu+tcp://h/?mode=DIRECT", "mode= is \"DIRECT\""},
      {"test+tcp://h/d?proxy=bogus", "proxy= is \"bogus\"; it must be auto, netcat or native"},
      {"qemu+tcp://h/?auth=none", "auth= is \"none\"; it must be sasl, sasl.MECHANISM or polkit"},
      {"qemu+tcp://h/?auth=sasl.", "auth= is \"sasl.\""},
      {"qemu:///system?socket=", "socket= is empty"},
      {"qemu:///system?socket=run/x", "socket= is \"run/x\"; it must be an absolute path"},
      {"qemu:///system?socket=" + long_path, "has 108 bytes; a socket's path can have 107"},
      {"qemu+ssh://h/?keyfile=", "keyfile= is empty"},
      {"qemu+ssh://h/?sshauth=", "sshauth= has \"\""},
      {"qemu+ssh://h/?sshauth=agent,", "sshauth= has \"\""},
      {"qemu+ssh://h/?sshauth=agent,none", "sshauth= has \"none\""},
      {"qemu+ssh://h/?sshauth=password", "these methods ask a person"},
      {"qemu+ssh://h/?known_hosts_verify=no", "it must be normal, auto or ignore"},
      {"qemu+tls://h/?tls_priority=NORMAL", "tls_priority= is a setting of libvirt's client"},
      {"qemu+ssh://u%0a@h/", "the user has control characters"},
      {"qemu+ssh://h%0a/", "the host has control characters"},
      {"qemu+ssh://h/?command=a%0ab", "command= has control characters"},
      {"qemu+ssh://h/?Socket=/a%7f", "socket= has control characters"},
      {"qemu+unix:///?name=a%0ab", "the name that the daemon would get has control characters"},
  }));
  CHECK_THAT(refused(c.uri), Catch::Contains(c.why));
}

TEST_CASE("what nobody protects is only taken when that is meant", "[conf][target]") {
  struct Case {
    const char* uri;
    const char* why;  // empty: protected
  };
  const Case c = GENERATE(values<Case>({
      {"qemu:///system", ""},
      {"qemu+ssh://h/", ""},
      {"qemu+ssh://h/?known_hosts_verify=auto", ""},
      {"qemu+tls://h/", ""},
      {"qemu+ext:///?command=/c&no_verify=1", ""},
      {"qemu+tcp:///", ""},
      {"qemu+tcp://LocalHost/", ""},
      {"qemu+tcp://127.9.9.9/", ""},
      {"qemu+tcp://[::1]/", ""},
      {"qemu+tcp://h/", "plain tcp to \"h\""},
      {"qemu+tcp://128.0.0.1/", "plain tcp"},
      {"qemu+tcp://127.0.0.1.example.com/", "plain tcp"},
      {"qemu+tcp://[::2]/", "plain tcp"},
      {"qemu+tls://h/?no_verify=1", "no_verify= accepts any server certificate"},
      {"qemu+ssh://h/?no_verify=1", "no_verify= accepts any host key"},
      {"qemu+ssh://h/?no_verify=1&known_hosts_verify=normal&command=ssh", "no_verify="},
      {"qemu+ssh://h/?known_hosts_verify=ignore", "known_hosts_verify=ignore"},
  }));
  conf::TargetConfig target = made(c.uri);
  CAPTURE(c.uri);
  const auto why = conf::why_unprotected(target);
  const auto at_once = conf::make_target("hail", c.uri, root());
  if (*c.why == '\0') {
    CHECK(why == std::nullopt);
    CHECK(at_once.ok());
    return;
  }
  REQUIRE(why.has_value());
  CHECK_THAT(*why, Catch::StartsWith(c.why) && Catch::Contains("insecure = true"));
  REQUIRE_FALSE(at_once.ok());
  CHECK(conf::to_string(at_once.error()) == *why);
  target.tunnel.insecure = true;
  CHECK(conf::why_unprotected(target) == std::nullopt);
}

TEST_CASE("the name of a target is a plain word", "[conf][target]") {
  for (const std::string& name : {std::string("a"), std::string("hail.example.com"),
                                  std::string("_x-9"), std::string(64, 'a'), std::string("...")}) {
    CAPTURE(name);
    CHECK(conf::wrong_target_name(name) == std::nullopt);
    CHECK(conf::make_target(name, "qemu:///system", root()).ok());
  }
  for (const std::string& name :
       {std::string(), std::string("-a"), std::string("."), std::string(".."), std::string("a/b"),
        std::string("a b"), std::string("a*"), std::string("\xc3\xa9"), std::string(65, 'a'),
        std::string("a\0", 2), std::string("a:b"), std::string("%t")}) {
    CAPTURE(name);
    CHECK(conf::wrong_target_name(name).has_value());
    CHECK_FALSE(conf::make_target(name, "qemu:///system", root()).ok());
  }
}
