// A URI resolves to the socket, address or command that libvirt's own client uses, and the notes
// say what a gate does otherwise.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "conf/explain.h"
#include "conf/resolve.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/resolve_cases.h"

namespace {

using conf::ClientEnvironment;
using conf::ParameterUse;
using conf::Resolution;
using test::ResolveCase;

ClientEnvironment environment_of(const ResolveCase& row) {
  ClientEnvironment out;
  const auto variable = [&](std::string_view name, std::string_view usual) {
    const auto found = row.variables.find(name);
    return std::string(found == row.variables.end() ? usual : found->second);
  };
  out.process.uid = row.uid;
  out.process.home = "/run/t/home";
  out.process.runtime_directory =
      variable("XDG_RUNTIME_DIR", row.uid == 0 ? "" : "/run/user/65534");
  out.process.config_home = variable("XDG_CONFIG_HOME", "");
  out.process.cache_home = variable("XDG_CACHE_HOME", "");
  out.virsh_default_connect_uri = variable("VIRSH_DEFAULT_CONNECT_URI", "");
  out.libvirt_default_uri = variable("LIBVIRT_DEFAULT_URI", "");
  if (row.variables.contains("LIBVIRT_AUTOSTART")) {
    out.libvirt_autostart = variable("LIBVIRT_AUTOSTART", "");
  }
  out.search_path = "/opt/bin::/usr/bin";
  return out;
}

conf::Exists files_of(const ResolveCase& row) {
  std::set<std::string> files = {"/run/t/custom.sock", "/run/t/my sock", "/usr/bin/ssh",
                                 "/opt/t/extcmd"};
  files.insert(row.sockets.begin(), row.sockets.end());
  return [files](const std::string& path) { return files.contains(path); };
}

conf::UriQuestion question_of(const ResolveCase& row) {
  conf::UriQuestion question;
  if (row.text) question.text = std::string(*row.text);
  question.flags = row.flags;
  return question;
}

std::string way_of(const Resolution& resolution) {
  if (resolution.transport.empty()) return "client";
  if (resolution.transport == "unix") return "unix " + resolution.socket.value_or("");
  if (!resolution.command.empty()) return "command";
  return resolution.transport + ' ' + resolution.host + ' ' + std::to_string(resolution.port);
}

bool socket_is_there(const Resolution& resolution) {
  return std::any_of(resolution.candidates.begin(), resolution.candidates.end(),
                     [&](const conf::SocketCandidate& one) {
                       return one.path == resolution.socket && one.exists.value_or(false);
                     });
}

void check_answer(const ResolveCase& row, const Resolution& resolution) {
  CHECK(resolution.error.value_or("") == "");
  CHECK(way_of(resolution) == row.way);
  CHECK(resolution.flags == (row.name ? row.sent : resolution.flags));
  CHECK(resolution.name == row.name);
  CHECK(resolution.command == row.command);
  CHECK(resolution.uri == row.uri.value_or(row.text.value_or("")));
  CHECK_FALSE(resolution.source.empty());
  if (resolution.transport == "unix") CHECK(socket_is_there(resolution) == !row.missing);
}

void check_row(const ResolveCase& row) {
  INFO("text " << row.text.value_or("(none)") << ", uid " << row.uid << ", flags " << row.flags
               << ", libvirt.conf " << row.conf);
  const ClientEnvironment environment = environment_of(row);
  if (!row.conf_path.empty()) {
    CHECK(conf::libvirt_conf_path(environment.process) == row.conf_path);
  }
  const auto libvirt = conf::parse_libvirt_conf(row.conf);
  if (!libvirt) {
    // Whatever is asked for, nothing opens with such a file.
    REQUIRE_FALSE(row.error.empty());
    CHECK(libvirt.error().text.find(row.error) != std::string::npos);
    return;
  }
  const Resolution resolution =
      conf::resolve(question_of(row), environment, *libvirt, files_of(row));
  if (row.error.empty()) return check_answer(row, resolution);
  REQUIRE(resolution.error);
  INFO(*resolution.error);
  CHECK(resolution.error->find(row.error) != std::string::npos);
}

Resolution ask(const std::string& text, const std::string& conf = "", unsigned flags = 0) {
  ResolveCase row;
  const auto libvirt = conf::parse_libvirt_conf(conf);
  REQUIRE(libvirt);
  return conf::resolve({text, flags}, environment_of(row), *libvirt, files_of(row));
}

bool mentions(const std::vector<std::string>& lines, std::string_view part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("URIs of this host mean what libvirt's client takes them for") {
  for (const ResolveCase& row : test::local_cases()) check_row(row);
}

TEST_CASE("URIs of tcp and tls mean what libvirt's client takes them for") {
  for (const ResolveCase& row : test::network_cases()) check_row(row);
}

TEST_CASE("URIs of ssh and ext start what libvirt's client starts") {
  for (const ResolveCase& row : test::ssh_cases()) check_row(row);
}

TEST_CASE("variables and libvirt.conf say what libvirt's client hears") {
  for (const ResolveCase& row : test::source_cases()) check_row(row);
}

TEST_CASE("each parameter has its use") {
  const Resolution resolution =
      ask("qemu+ssh://h/system?keyfile=/a&pkipath=/p&x=1&keyfile=/k&X=2&Mode=legacy");
  std::vector<std::pair<std::string, ParameterUse>> uses;
  for (const auto& one : resolution.parameters) uses.emplace_back(one.name, one.use);
  CHECK(uses ==
        std::vector<std::pair<std::string, ParameterUse>>{{"keyfile", ParameterUse::overridden},
                                                          {"pkipath", ParameterUse::stripped},
                                                          {"x", ParameterUse::passed_on},
                                                          {"keyfile", ParameterUse::here},
                                                          {"X", ParameterUse::passed_on},
                                                          {"Mode", ParameterUse::here}});
  CHECK(ask("remote+tcp://h/?x=1").parameters[0].use == ParameterUse::dropped);
  CHECK(ask("qemu+tcp://h/?x=1&name=y").parameters[0].use == ParameterUse::dropped);
  CHECK(ask("test:///default?x=1").parameters[0].use == ParameterUse::driver);
}

TEST_CASE("the steps and the source say where the text came from") {
  const Resolution alias = ask("hail", "uri_aliases = [ \"hail=qemu+ssh://h/system\" ]");
  CHECK(alias.source == "argument");
  CHECK(alias.alias == "hail");
  CHECK(alias.driver == "qemu");
  CHECK(alias.host == "h");
  CHECK(alias.port == 0);
  CHECK(mentions(alias.steps, "the alias \"hail\" of \"/etc/libvirt/libvirt.conf\" stands for"));
  const Resolution nothing = ask("", "");
  CHECK(nothing.source == "probing");
  CHECK(mentions(nothing.steps, "the argument is empty"));
  CHECK(mentions(nothing.steps, "the daemon is asked to choose"));
  const Resolution standard = ask("", "uri_default = \"XEN\"");
  CHECK(standard.source == "uri_default");
  CHECK(mentions(standard.steps, "\"XEN\" is an old way"));
  CHECK(standard.uri == "xen:///system");
}

TEST_CASE("the transports inside a client have a user and a port, and start nothing") {
  const Resolution resolution = ask("qemu+libssh2://h/system");
  CHECK(resolution.user == "root");
  CHECK(resolution.port == 22);
  CHECK(resolution.command.empty());
  CHECK(mentions(resolution.steps, "which virt-ssh-helper"));
}

TEST_CASE("only tcp and ext are not secure") {
  for (const auto& [uri, secure] :
       std::map<std::string, bool>{{"qemu:///system", true},
                                   {"qemu+tcp://h/", false},
                                   {"qemu://h/", true},
                                   {"qemu+ssh://h/", true},
                                   {"qemu+libssh://h/", true},
                                   {"qemu+ext:///?command=/opt/t/extcmd", false}}) {
    INFO(uri);
    const Resolution resolution = ask(uri);
    CHECK(resolution.error.value_or("") == "");
    CHECK(resolution.secure == secure);
  }
}

TEST_CASE("the notes say what a gate does otherwise") {
  CHECK(mentions(ask("qemu:///system").notes,
                 "of these sockets that answers: \"/run/libvirt/virtqemud-sock-ro\""));
  CHECK(mentions(ask("qemu:///system").notes, "a gate opens it read-only"));
  CHECK_FALSE(mentions(ask("qemu:///system", "", 1).notes, "a gate opens it read-only"));
  CHECK(mentions(ask("test:///default").notes, "a gate"));
  CHECK(mentions(ask("esx://h/").notes, "there is no libvirt daemon"));
  CHECK(mentions(ask("qemu+tls://h/system?tls_priority=X").notes, "tls_priority= is a setting"));
  CHECK(mentions(ask("qemu+tcp://h/system").notes, "unless told"));
  CHECK(mentions(ask("qemu+ssh://h/system?socket=/a%20b").notes, "without quotes"));
  CHECK_FALSE(mentions(ask("qemu+ssh://h/system?socket=/ab").notes, "without quotes"));
  CHECK(mentions(ask("qemu+ssh://-oX/system").notes, "begins with -"));
  CHECK(mentions(ask("qemu+ssh://u:p@h/system").notes, "a password has no place"));
  CHECK(mentions(ask("http://h:8000/").notes, "xend"));
  CHECK(mentions(ask("").notes, "each of its targets"));
}

TEST_CASE("what is said of hostile text is printable") {
  for (const std::string text :
       {"\x1b[2J", "qemu+unix:///a%1b%5b?socket=/%1b&name=%1b", "qemu+ssh://%1b@%1b/%ff"}) {
    const std::string shown = conf::explained(ask(text));
    CHECK(shown.find('\x1b') == std::string::npos);
    CHECK(shown.find('\xff') == std::string::npos);
    CHECK(shown.find("\\\\x") == std::string::npos);
  }
}
