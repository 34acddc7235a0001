// auth.conf gives each host its credentials as GLib reads the file, mistakes are named by line and
// never quoted, and a file that others can read is refused.
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "conf/auth_conf.h"
#include "conf/target.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"

namespace {

using conf::AuthConf;
using conf::read_credentials;
using Paths = std::vector<std::string>;

constexpr const char* kFile = R"(# comment
[credentials-test]
authname=fred
password=top secret
realm=example.com

[auth-libvirt-hail]
credentials=test
)";

// The password that the text gives for service "libvirt" of host "hail"; "-": none.
std::string password(const std::string& text) {
  const auto conf = AuthConf::parse(text);
  if (!conf) return "line " + std::to_string(conf.error().line) + ": " + conf.error().text;
  const auto found = conf->find("libvirt", "hail");
  if (!found) return "line " + std::to_string(found.error().line) + ": " + found.error().text;
  if (!*found || !(**found).password) return "-";
  return std::string((**found).password->text());
}

std::string with_value(const std::string& value) {
  return "[auth-libvirt-hail]\ncredentials=t\n[credentials-t]\npassword=" + value;
}

conf::Environment environment_in(const test::TemporaryFolder& folder) {
  conf::Environment environment;
  environment.uid = ::geteuid();
  environment.home = folder.path() + "/home";
  environment.system_folder = folder.path() + "/etc";
  return environment;
}

void write(const test::TemporaryFolder& folder, const std::string& name, const std::string& text,
           mode_t mode = 0600) {
  folder.write(name, text);
  REQUIRE(::chmod((folder.path() + "/" + name).c_str(), mode) == 0);
}

std::string problem(const conf::Environment& environment, const std::string& authfile = "",
                    const std::string& host = "hail") {
  const auto found = read_credentials(environment, authfile, host);
  return found ? "none" : found.error().text;
}

}  // namespace

TEST_CASE("auth.conf gives the credentials of a host", "[conf][auth_conf]") {
  const std::string text = std::string(kFile) +
                           "[credentials-other]\nauthname=ann\nusername=root\n"
                           "[auth-libvirt-default]\ncredentials=other\n"
                           "[auth-vnc-rain]\ncredentials=test\n";
  const auto conf = AuthConf::parse(text);
  REQUIRE(conf.ok());
  const auto hail = conf->find("libvirt", "hail");
  REQUIRE((hail.ok() && hail.value().has_value()));
  const conf::Credentials& found = *hail.value();
  CHECK(found.place == "[credentials-test]");
  CHECK(found.authname == "fred");
  CHECK(!found.username);
  CHECK(found.realm == "example.com");
  CHECK(found.password->text() == "top secret");
  const auto rain = conf->find("libvirt", "rain");
  REQUIRE((rain.ok() && rain.value().has_value()));
  CHECK(rain.value()->place == "[credentials-other]");
  CHECK(rain.value()->authname == "ann");
  CHECK(rain.value()->username == "root");
  CHECK(!rain.value()->password);
  const auto vnc = conf->find("vnc", "hail");
  REQUIRE(vnc.ok());
  CHECK(!vnc.value());
}

TEST_CASE("values of auth.conf are read as GLib reads them", "[conf][auth_conf]") {
  const std::vector<std::pair<std::string, std::string>> values = {
      {"v", "v"},
      {"  v  \n", "v  "},
      {"\v v\n", "v"},
      {"\n", ""},
      {"v\r\n", "v"},
      {"a\rb\n", "a\rb"},
      {"a\\sb\\n\\t\\r\\\\\n", "a b\n\t\r\\"},
      {"a\\qb\n", "a\\qb"},
      {"a\\", "a"},
      {"v # no comment\n", "v # no comment"},
      {"\"v\"\n", "\"v\""},
      {"a=b=c\n", "a=b=c"},
      {"\xff\n", "\xff"},
      {"1\npassword=2\n", "2"},
      {"1\n[h]\npassword=2\n[credentials-t]\npassword=3\n[i]\npassword=4", "3"},
      {"1\n;password=2\n#password=3\npassword[de]=4\n", "1"},
  };
  for (const auto& [value, meant] : values) {
    INFO(value);
    CHECK(password(with_value(value)) == meant);
  }
  CHECK(password("  [auth-libvirt-hail] \r\n credentials = t\n[credentials-t]\npassword = x") ==
        "x");
  CHECK(password("[auth-libvirt-default]\ncredentials=\\t\n[credentials-\t]\npassword=x").size() >
        1);
}

TEST_CASE("what is wrong in auth.conf has a line, and is not shown", "[conf][auth_conf]") {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"password=hidden\n", "line 1: there is a value before the first section"},
      {"# x\n\n[g]\nhidden\n", "line 4: expecting [section], key=value or # comment"},
      {"[g]\n=hidden\n", "line 2: expecting [section], key=value or # comment"},
      {"[g]\n[hidden\n", "line 2: the name of a section must end with ]"},
      {"[g] hidden\n", "line 1: nothing can stand behind the name of a section"},
      {"[g]\n[h]=hidden\n", "line 2: nothing can stand behind the name of a section"},
      {"[]\n", "line 1: this cannot be the name of a section"},
      {"[[hidden]\n", "line 1: this cannot be the name of a section"},
      {"[a\tb]\n", "line 1: this cannot be the name of a section"},
      {"\xef\xbb\xbf[g]\n", "line 1: expecting [section], key=value or # comment"},
      {std::string("[g]\nk=\0hidden\n", 14), "line 0: has a NUL byte"},
      {std::string(conf::kLargestAuthConf + 1, '#'), "line 0: is too large"},
      {"[g]\n[auth-libvirt-hail]\nx=hidden\n", "line 2: [auth-libvirt-hail] has no credentials="},
      {"[auth-libvirt-hail]\ncredentials=x\n",
       "line 2: [auth-libvirt-hail] names credentials that have no section: there is no "
       "[credentials-x]"},
      {"[auth-libvirt-hail]\n[auth-libvirt-default]\ncredentials=x\n[credentials-x]\n",
       "line 1: [auth-libvirt-hail] has no credentials="},
  };
  for (const auto& [text, says] : wrong) {
    INFO(text.substr(0, 100));
    CHECK(password(text) == says);
  }
  for (const char* nothing : {"", "\n\n", "# x", "[g]", "[auth-libvirt-Hail]\ncredentials=x\n",
                              "[auth-Libvirt-hail]\n", "[auth-libvirt-]\n"}) {
    CHECK(password(nothing) == "-");
  }
}

TEST_CASE("every beginning of auth.conf is read or refused", "[conf][auth_conf]") {
  const std::string text = kFile;
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string found = password(text.substr(0, size));
    INFO(found);
    CHECK((found == "-" || found == "top secret" || found.starts_with("line ")));
    CHECK((size < text.size() - 1 || found == "top secret"));
  }
}

TEST_CASE("auth.conf is looked for where libvirt looks", "[conf][auth_conf]") {
  conf::Environment environment;
  environment.uid = 4711;
  environment.home = "/home/u";
  CHECK(conf::auth_conf_paths(environment, "") ==
        Paths{"/home/u/.config/libvirt/auth.conf", "/etc/libvirt/auth.conf"});
  environment.config_home = "/c";
  environment.credentials_directory = "/run/credentials/virtgate";
  CHECK(conf::auth_conf_paths(environment, "") == Paths{"/run/credentials/virtgate/auth.conf",
                                                        "/c/libvirt/auth.conf",
                                                        "/etc/libvirt/auth.conf"});
  CHECK(conf::auth_conf_paths(environment, "/a") == Paths{"/a"});
  environment.auth_file = "/e";
  CHECK(conf::auth_conf_paths(environment, "/a") == Paths{"/e"});
}

TEST_CASE("the first auth.conf that exists is the one", "[conf][auth_conf]") {
  const test::TemporaryFolder folder;
  const conf::Environment environment = environment_in(folder);
  const std::string user = folder.path() + "/home/.config/libvirt/auth.conf";
  const std::string system = folder.path() + "/etc/auth.conf";
  CHECK(problem(environment) ==
        "there is no " + user + ", " + system +
            "; it needs [auth-libvirt-hail] with credentials=NAME, and [credentials-NAME] with "
            "authname= and password=");
  write(folder, "etc/auth.conf", kFile);
  const auto found = read_credentials(environment, "", "hail");
  REQUIRE(found.ok());
  CHECK(found->place == "[credentials-test] in " + system);
  CHECK(found->password->text() == "top secret");
  write(folder, "home/.config/libvirt/auth.conf", "[x]\n", 0400);
  CHECK(problem(environment)
            .starts_with(user + " has no credentials for this host; it needs "
                                "[auth-libvirt-hail] with credentials=NAME"));
  CHECK(problem(environment, system) == "none");
  CHECK(problem(environment, folder.path() + "/no").starts_with("there is no " + folder.path()));
  write(folder, "home/.config/libvirt/auth.conf", "[x]\nhidden\n");
  CHECK(problem(environment) == user + ":2: expecting [section], key=value or # comment");
}

TEST_CASE("an auth.conf that others can read is refused", "[conf][auth_conf]") {
  const test::TemporaryFolder folder;
  const conf::Environment environment = environment_in(folder);
  const std::string path = folder.path() + "/etc/auth.conf";
  for (const auto& [mode, octal] : {std::pair<mode_t, const char*>{0644, "0644"},
                                    {0640, "0640"},
                                    {0602, "0602"},
                                    {04610, "4610"}}) {
    write(folder, "etc/auth.conf", kFile, mode);
    CHECK(problem(environment) ==
          path + " holds passwords and is refused: mode " + octal + ", needs 0600");
  }
  for (const mode_t mode : {0600U, 0400U}) {
    write(folder, "etc/auth.conf", kFile, mode);
    CHECK(problem(environment) == "none");
  }
  write(folder, "etc/auth.conf", kFile, 0440);
  CHECK((problem(environment) == "none") == (::geteuid() == 0));  // a credential of systemd
  write(folder, "etc/auth.conf", std::string(conf::kLargestAuthConf + 1, '\n'));
  CHECK(problem(environment) == path + " is larger than 1048576 bytes");
  const test::TemporaryFolder other;
  REQUIRE(::mkfifo((other.path() + "/pipe").c_str(), 0600) == 0);
  CHECK(problem(environment, other.path() + "/pipe") ==
        other.path() + "/pipe is not a regular file");
}

TEST_CASE("a target keeps what its URI says of authentication", "[conf][auth_conf]") {
  const auto plain = conf::make_target("t", "qemu+tcp://localhost/system");
  REQUIRE(plain.ok());
  CHECK(plain->auth.request.empty());
  CHECK(plain->auth.authfile.empty());
  const auto all = conf::make_target(
      "t", "qemu+tcp://localhost/system?auth=sasl.DIGEST-MD5&authfile=/etc/my%20auth");
  REQUIRE(all.ok());
  CHECK(all->auth.request == "sasl.DIGEST-MD5");
  CHECK(all->auth.authfile == "/etc/my auth");
  CHECK(all->connect_name == "qemu:///system");
  const auto empty = conf::make_target("t", "qemu+tcp://localhost/system?authfile=");
  REQUIRE(!empty.ok());
  CHECK(empty.error().text == "authfile= is empty");
}
