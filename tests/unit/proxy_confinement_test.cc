// A confined gate keeps the files and folders that its configuration names, with what links lead
// to, and knows which new configuration needs a new start.
#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

#include "conf/target.h"
#include "proxy/service/confinement.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"

namespace {

using proxy::beyond;
using proxy::Confinement;
using proxy::confinement_of;
using proxy::FilePlace;
using proxy::FileUse;

conf::Environment surroundings() {
  conf::Environment environment;
  environment.uid = 1000;
  environment.home = "/home/somebody";
  return environment;
}

conf::Listen at(const std::string& path) {
  conf::Listen listen;
  listen.path = path;
  return listen;
}

conf::Config with_target(const std::string& uri) {
  conf::Config config;
  auto made = conf::target_of("hail", uri, surroundings());
  REQUIRE(made.ok());
  config.targets.push_back(std::move(made).value());
  return config;
}

Confinement of(const conf::Config& config) {
  return confinement_of(config, {}, "", surroundings());
}

bool has(const Confinement& confinement, const std::string& path, FileUse use) {
  return std::ranges::count(confinement.places, FilePlace{path, use}) == 1;
}

TEST_CASE("a confined gate keeps the folders of the files that it is told of") {
  auto config = with_target(
      "qemu+ssh://hail:2222/system?keyfile=/srv/keys/hail&"
      "known_hosts=/srv/hosts/known");
  config.targets[0].tunnel.passphrase_file = "/srv/phrases/hail";
  config.listen.push_back(at("/run/gate/sock"));
  config.listen.push_back(at("@abstract"));
  config.listen.push_back(at("/sock"));
  const Confinement made =
      confinement_of(config, {"/srv/gate/virtgate.toml", "/srv/gate/conf.d/more.toml"},
                     "/srv/control/socket", surroundings());
  for (const char* folder :
       {"/srv/keys", "/srv/hosts", "/srv/phrases", "/srv/gate", "/srv/gate/conf.d", "/etc"}) {
    CHECK(has(made, folder, FileUse::read));
  }
  CHECK(has(made, "/run/gate", FileUse::own));
  CHECK(has(made, "/srv/control", FileUse::own));
  CHECK(std::ranges::none_of(made.places, [](const FilePlace& one) { return one.path == "/"; }));
  CHECK(made.ports.contains(2222));
  CHECK_FALSE(made.runs_programs);
  CHECK_FALSE(made.abstract_sockets);
}

TEST_CASE("a file beside everything else stands for itself") {
  const Confinement home = of(with_target("qemu+ssh://hail/system?keyfile=/home/somebody/key"));
  CHECK(has(home, "/home/somebody/key", FileUse::read));
  CHECK_FALSE(has(home, "/home/somebody", FileUse::read));
  const Confinement top = of(with_target("qemu+ssh://hail/system?keyfile=/key"));
  CHECK(has(top, "/key", FileUse::read));
  CHECK_FALSE(has(top, "/", FileUse::read));
}

TEST_CASE("what a link leads to is kept too") {
  const test::TemporaryFolder folder;
  folder.write("real/key", "key");
  folder.make_folder("near");
  folder.make_folder("far");
  REQUIRE(symlink("../real/key", (folder / "near/key").c_str()) == 0);
  const std::string far = folder / "far/key";
  REQUIRE(symlink("../near/key", far.c_str()) == 0);
  const Confinement made = of(with_target("qemu+ssh://hail/system?keyfile=" + far));
  CHECK(has(made, folder / "far", FileUse::read));
  CHECK(has(made, folder / "real", FileUse::read));
}

TEST_CASE("a link on the way to a file can be turned to a sibling of what it leads to") {
  test::TemporaryFolder temporary;
  const std::string folder = temporary.path();
  REQUIRE(::mkdir((folder + "/v1").c_str(), 0700) == 0);
  REQUIRE(::mkdir((folder + "/v1/keys").c_str(), 0700) == 0);
  temporary.write("v1/keys/hail", "");
  REQUIRE(::symlink("v1", (folder + "/live").c_str()) == 0);
  const std::string uri = "qemu+ssh://hail/system?keyfile=" + folder + "/live/keys/hail";
  const Confinement made = of(with_target(uri));
  CHECK(has(made, folder, FileUse::read));
  CHECK(made.fixed_links.empty());
  REQUIRE(::symlink("/usr", (folder + "/other").c_str()) == 0);
  const Confinement root = of(with_target("qemu+ssh://hail/system?keyfile=" + folder + "/other/k"));
  CHECK_FALSE(has(root, "/", FileUse::read));
  CHECK(root.fixed_links.empty());
  // Beside /var/tmp there is too much.
  REQUIRE(::symlink("/var/tmp", (folder + "/fixed").c_str()) == 0);
  const Confinement fixed = of(with_target("qemu+ssh://h/system?keyfile=" + folder + "/fixed/k"));
  CHECK(fixed.fixed_links == std::set{folder + "/fixed"});
  CHECK_FALSE(has(fixed, "/var", FileUse::read));
}

TEST_CASE("what is written is kept, as far as its folder is there") {
  const test::TemporaryFolder folder;
  auto config = with_target("qemu+ssh://hail/system?known_hosts_verify=auto&known_hosts=" +
                            folder / "a/b/known");
  config.audit.file = folder / "audit.json";
  CHECK(has(of(config), folder.path(), FileUse::append));
}

TEST_CASE("targets that need programs say so") {
  CHECK(of(with_target("qemu+ext:///system?command=/bin/true")).runs_programs);
  CHECK(of(with_target("qemu+ssh://hail/system?command=/usr/bin/ssh")).runs_programs);
  CHECK_FALSE(of(with_target("qemu://hail/system")).runs_programs);
}

TEST_CASE("a new configuration within the old one's bounds needs no new start") {
  const auto old = of(with_target("qemu+ssh://hail/system?keyfile=/srv/keys/hail"));
  const auto needs = [&](const std::string& uri) { return beyond(old, of(with_target(uri))); };
  CHECK_FALSE(needs("qemu+ssh://hail/system?keyfile=/srv/keys/other"));
  CHECK_FALSE(needs("qemu+ssh://hail/system?keyfile=/srv/keys/below/it"));
  CHECK_FALSE(needs("qemu://other/system"));
  CHECK(needs("qemu+ssh://hail/system?keyfile=/srv/keys-of-others/it") ==
        "reading /srv/keys-of-others");
  CHECK(needs("qemu://other:17000/system") == "connecting to port 17000");
  CHECK(needs("qemu+ext:///system?command=/bin/true") == "running programs");
  Confinement abstract = old;
  abstract.abstract_sockets = true;
  CHECK(beyond(old, abstract) == "connecting to abstract sockets");
  CHECK_FALSE(beyond(abstract, old));
  auto more = with_target("qemu+ssh://hail:2200/system?keyfile=/srv/x/k&known_hosts=/srv/y/k");
  CHECK(beyond(old, of(more)) == "reading /srv/x, reading /srv/y, connecting to port 2200");
  auto listening = with_target("qemu://hail/system");
  listening.listen.push_back(at("/srv/keys/sock"));
  CHECK(beyond(old, of(listening)) == "making and removing files in /srv/keys");
  auto audited = with_target("qemu://hail/system");
  audited.audit.file = "/etc/audit.json";
  CHECK(beyond(old, of(audited)) == "writing in /etc");
  CHECK_FALSE(beyond(of(with_target("qemu+ext:///system?command=/bin/true")), of(listening)));
}

}  // namespace
