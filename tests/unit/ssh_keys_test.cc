// A private key's type and encryption are known without its passphrase, a key file that others can
// read is refused, and what is no key is said to be none.
#include <cstdlib>

#include <libssh2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/whereabouts.h"
#include "tunnel/ssh/digest.h"
#include "tunnel/ssh/keys.h"

namespace {

using tunnel::ssh::inspect_private_key;
using tunnel::ssh::load_private_key;
using tunnel::ssh::SshEnvironment;

void keygen(const test::TemporaryFolder& folder, const std::string& options) {
  const std::string command = "ssh-keygen -q " + options + " -f " + (folder / "key");
  REQUIRE(std::system(command.c_str()) == 0);
}

}  // namespace

TEST_CASE("ssh keys: type and encryption are seen without a passphrase") {
  struct Row {
    const char* options;
    const char* type;
    bool encrypted;
  };
  const auto row = GENERATE(values<Row>({
      {"-t ed25519 -N ''", "ssh-ed25519", false},
      {"-t ed25519 -N secret", "ssh-ed25519", true},
      {"-t ecdsa -b 256 -N ''", "ecdsa-sha2-nistp256", false},
      {"-t ecdsa -b 521 -N secret", "ecdsa-sha2-nistp521", true},
      {"-t rsa -b 2048 -N ''", "ssh-rsa", false},
      {"-t rsa -b 2048 -N '' -m PEM", "ssh-rsa", false},
      {"-t rsa -b 2048 -N secret -m PEM", "ssh-rsa", true},
      {"-t rsa -b 2048 -N '' -m PKCS8", "ssh-rsa", false},
      {"-t ecdsa -b 384 -N '' -m PEM", "ecdsa", false},
      {"-t ecdsa -b 384 -N secret -m PEM", "ecdsa", true},
      {"-t ecdsa -b 384 -N '' -m PKCS8", "ecdsa-sha2-nistp384", false},
      {"-t ecdsa -b 256 -N '' -m PKCS8", "ecdsa-sha2-nistp256", false},
      {"-t rsa -b 2048 -N secret -m PKCS8", "", true},
  }));
  CAPTURE(row.options);
  const test::TemporaryFolder folder;
  keygen(folder, row.options);
  const std::string text = test::read_file(folder / "key");
  const auto info = inspect_private_key(base::bytes_of(text));
  REQUIRE(info.ok());
  CHECK(info.value().type == row.type);
  CHECK(info.value().encrypted == row.encrypted);
}

TEST_CASE("ssh keys: what is no key is said to be none, however it is cut or changed") {
  const test::TemporaryFolder folder;
  keygen(folder, "-t ed25519 -N ''");
  const std::string text = test::read_file(folder / "key");
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto info = inspect_private_key(base::bytes_of(text).first(length));
    const bool whole = text.substr(0, length).find("-----END ") != std::string::npos;
    CHECK(info.ok() == whole);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 0x15);
    const auto info = inspect_private_key(base::bytes_of(changed));
    if (!info) CHECK_FALSE(info.error().empty());
  }
  const std::string public_key = test::read_file(folder / "key.pub");
  CHECK_FALSE(inspect_private_key(base::bytes_of(public_key)).ok());
  CHECK_FALSE(
      inspect_private_key(base::bytes_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE"))
          .ok());
}

TEST_CASE("ssh keys: a key that others can read is refused") {
  const test::TemporaryFolder folder;
  keygen(folder, "-t ed25519 -N ''");
  const std::string file = (folder / "key");
  const auto row = GENERATE(values<std::pair<mode_t, bool>>(
      {{0600, true}, {0400, true}, {0640, false}, {0604, false}, {0620, false}, {0777, false}}));
  REQUIRE(chmod(file.c_str(), row.first) == 0);
  const auto key = load_private_key(file, "", {}, test::unasked);
  CHECK(key.ok() == row.second);
  if (!key) CHECK(key.error().text.find("needs 0600") != std::string::npos);
}

TEST_CASE("ssh keys: a key may be a credential of systemd, and no other group's") {
  const test::TemporaryFolder folder;
  keygen(folder, "-t ed25519 -N ''");
  const std::string file = folder / "key";
  REQUIRE(chmod(file.c_str(), 0440) == 0);
  const bool as_root = geteuid() == 0;
  CHECK(load_private_key(file, "", {}, test::unasked).ok() == as_root);
  if (!as_root) return;
  REQUIRE(chown(file.c_str(), 0, 1234) == 0);
  CHECK_FALSE(load_private_key(file, "", {}, test::unasked).ok());
}

TEST_CASE("ssh keys: the passphrase comes from a file") {
  const test::TemporaryFolder folder;
  keygen(folder, "-t ed25519 -N secret");
  const std::string file = (folder / "key");
  test::write_file(folder / "pass", "secret\nmore\n");
  REQUIRE(chmod((folder / "pass").c_str(), 0600) == 0);
  SshEnvironment environment;
  environment.credentials = (folder / "");

  CHECK(load_private_key(file, "", environment, test::unasked).error().text.find("is encrypted") !=
        std::string::npos);
  for (const std::string& name : {std::string("pass"), (folder / "pass")}) {
    const auto key = load_private_key(file, name, environment, test::unasked);
    REQUIRE(key.ok());
    CHECK(key.value().passphrase.c_str() == std::string("secret"));
  }
  CHECK_FALSE(load_private_key(file, "pass", {}, test::unasked).ok());
  CHECK_FALSE(load_private_key(file, "none", environment, test::unasked).ok());
  REQUIRE(chmod((folder / "pass").c_str(), 0644) == 0);
  CHECK_FALSE(load_private_key(file, "pass", environment, test::unasked).ok());
}

TEST_CASE("ssh keys: files that are absent, odd or of a type the library cannot use") {
  const test::TemporaryFolder folder;
  CHECK(load_private_key((folder / "none"), "", {}, test::unasked).error().missing);
  CHECK_FALSE(load_private_key((folder / ""), "", {}, test::unasked).error().missing);
  keygen(folder, "-t rsa -b 2048 -N ''");
  const bool signs_with_rsa = libssh2_version(0x010b00) != nullptr;
  const auto rsa = load_private_key((folder / "key"), "", {}, test::unasked);
  CHECK(rsa.ok() == signs_with_rsa);
  if (!rsa) CHECK(rsa.error().text.find("use an Ed25519 key") != std::string::npos);
  CHECK_FALSE(tunnel::ssh::unusable_key_type("ssh-dss").empty());
  CHECK_FALSE(tunnel::ssh::unusable_key_type("sk-ssh-ed25519@openssh.com").empty());
  CHECK_FALSE(tunnel::ssh::unusable_key_type("ssh-ed25519-cert-v01@openssh.com").empty());
  CHECK(tunnel::ssh::unusable_key_type("ssh-ed25519").empty());
}

TEST_CASE("ssh keys: keyfile= alone, or the usual files of the user") {
  SshEnvironment environment;
  tunnel::Target target;
  CHECK(tunnel::ssh::key_files(target, environment).empty());
  environment.home = "/h";
  CHECK(tunnel::ssh::key_files(target, environment) ==
        std::vector<std::string>{"/h/.ssh/id_ed25519", "/h/.ssh/id_ecdsa", "/h/.ssh/id_rsa"});
  target.keyfile = "/k";
  CHECK(tunnel::ssh::key_files(target, environment) == std::vector<std::string>{"/k"});
}

TEST_CASE("ssh keys: fingerprints") {
  CHECK(tunnel::ssh::fingerprint(base::bytes_of("abc")) ==
        "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
}
