// TLS files are found where libvirt's client looks and read whole, a private key that others can
// read is refused, and bad files are named with the reason.
#include <set>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"
#include "tests/unit/support/tls_world.h"
#include "tunnel/tls/credentials.h"
#include "tunnel/tls/files.h"

using test::TemporaryFolder;
using test::TlsWorld;
using tunnel::tls_paths;
using tunnel::tls_read_file;
using tunnel::tls_read_key;
using tunnel::TlsCredentials;
using tunnel::TlsPaths;
using tunnel::TlsPlaces;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

auto among(std::set<std::string> files) {
  return [files](const std::string& path) { return files.count(path) != 0; };
}

// Put together here, so that nobody takes it for a key that leaked.
std::string pem(const std::string& kind, const std::string& content) {
  return "-----BEGIN " + kind + "-----\n" + content + "\n-----END " + kind + "-----\n";
}

// Why the credentials in the world's folder are not good.
Reason complaint(const TlsWorld& world) {
  auto credentials = test::read_credentials(
      tls_paths(world.folder.path(), {}, tunnel::tls_file_exists), ::geteuid());
  REQUIRE_FALSE(credentials.ok());
  CHECK(credentials.error().kind == Reason::Kind::refused);
  return credentials.error();
}

std::string key_error(const std::string& path) {
  auto key = tls_read_key(path, ::geteuid());
  return key.ok() ? "" : key.error().text;
}

}  // namespace

TEST_CASE("TLS files lie where libvirt's client looks for them", "[tls]") {
  const std::string user = "/home/u/.pki/libvirt";
  const TlsPlaces places{"/etc/pki", "/home/u", 1000};
  const TlsPaths system = tls_paths("", places, among({}));
  CHECK(system.ca == "/etc/pki/CA/cacert.pem");
  CHECK(system.crl == "/etc/pki/CA/cacrl.pem");
  CHECK(system.certificate == "/etc/pki/libvirt/clientcert.pem");
  CHECK(system.key == "/etc/pki/libvirt/private/clientkey.pem");

  const auto all = among({user + "/cacert.pem", user + "/cacrl.pem", user + "/clientcert.pem",
                          user + "/clientkey.pem"});
  SECTION("of a user, singly or as a pair") {
    TlsPaths paths = tls_paths("", places, all);
    CHECK(paths.ca == user + "/cacert.pem");
    CHECK(paths.crl == user + "/cacrl.pem");
    CHECK(paths.certificate == user + "/clientcert.pem");
    CHECK(paths.key == user + "/clientkey.pem");
    paths = tls_paths("", places, among({user + "/cacert.pem", user + "/clientcert.pem"}));
    CHECK(paths.ca == user + "/cacert.pem");
    CHECK(paths.crl == system.crl);
    CHECK(paths.certificate == system.certificate);
    CHECK(paths.key == system.key);
    paths = tls_paths("", places, among({user + "/cacrl.pem", user + "/clientkey.pem"}));
    CHECK(paths.ca == system.ca);
    CHECK(paths.crl == user + "/cacrl.pem");
    CHECK(paths.certificate == system.certificate);
    CHECK(paths.key == system.key);
  }
  SECTION("not of root's home, and of no home") {
    CHECK(tls_paths("", {"/etc/pki", "/home/u", 0}, all).ca == system.ca);
    CHECK(tls_paths("", {"/etc/pki", "", 1000}, [](const std::string&) { return true; }).ca ==
          system.ca);
  }
  SECTION("or in pkipath alone") {
    const TlsPaths paths = tls_paths("/srv/pki", places, all);
    CHECK(paths.ca == "/srv/pki/cacert.pem");
    CHECK(paths.crl == "/srv/pki/cacrl.pem");
    CHECK(paths.certificate == "/srv/pki/clientcert.pem");
    CHECK(paths.key == "/srv/pki/clientkey.pem");
  }
}

TEST_CASE("A file is read whole, or said to be missing, or refused", "[tls]") {
  TemporaryFolder folder;
  const std::string path = folder.write("file", "content");
  auto content = tls_read_file(path, 7);
  REQUIRE((content.ok() && content->has_value()));
  CHECK(base::text_of((*content)->terminated()) == std::string_view("content\0", 8));
  auto empty = tls_read_file(folder.write("empty", ""), 7);
  REQUIRE((empty.ok() && empty->has_value()));
  CHECK((*empty)->terminated().size() == 1);

  for (const std::string& none : {folder.path() + "/missing", path + "/beyond"}) {
    auto missing = tls_read_file(none, 7);
    CHECK((missing.ok() && !missing->has_value()));
  }

  auto large = tls_read_file(path, 6);
  REQUIRE_FALSE(large.ok());
  CHECK(has(large.error().text, path + " is larger than 6 bytes"));
  auto directory = tls_read_file(folder.path(), 6);
  REQUIRE_FALSE(directory.ok());
  CHECK(has(directory.error().text, "not a regular file"));
  REQUIRE(::mkfifo((folder.path() + "/fifo").c_str(), 0600) == 0);
  CHECK_FALSE(tls_read_file(folder.path() + "/fifo", 6).ok());
  CHECK_FALSE(tls_read_file("/dev/zero", 6).ok());
  REQUIRE(::symlink("loop", (folder.path() + "/loop").c_str()) == 0);
  auto loop = tls_read_file(folder.path() + "/loop", 6);
  REQUIRE_FALSE(loop.ok());
  CHECK(has(loop.error().text, "cannot read " + folder.path() + "/loop: "));
}

TEST_CASE("A private key is its owner's alone", "[tls]") {
  TemporaryFolder folder;
  const mode_t good = GENERATE(as<mode_t>{}, 0400, 0600, 0700);
  CHECK(key_error(folder.write("key", "key", good)).empty());
  for (const mode_t bad : {0640U, 0620U, 0604U, 0602U, 0644U, 0660U, 0666U, 0444U, 0601U, 0610U}) {
    const std::string path = folder.write("key", "key", bad);
    const std::string error = key_error(path);
    INFO(bad);
    CHECK(has(error, path + " is refused: mode 0" + std::to_string(bad / 64) +
                         std::to_string(bad / 8 % 8) + std::to_string(bad % 8)));
    CHECK(has(error, "needs 0600"));
  }
  const std::string path = folder.write("key", "key", 0600);
  auto other = tls_read_key(path, ::geteuid() + 1);
  // Root's keys are good for everybody who can read them.
  CHECK(other.ok() == (::geteuid() == 0));
  auto missing = tls_read_key(folder.path() + "/missing", 0);
  CHECK((missing.ok() && !missing->has_value()));
  CHECK(has(key_error(folder.write("key", std::string(tunnel::kTlsKeyLimit + 1, 'k'))),
            "larger than 65536 bytes"));
}

TEST_CASE("Root may hold a key for another user, and nobody else may", "[tls]") {
  TemporaryFolder folder;
  const std::string path = folder.write("key", "key", 0440);
  const bool as_root = ::geteuid() == 0;
  // So systemd hands out credentials; the group of anybody else is a group of somebody.
  CHECK(tls_read_key(path, 1234).ok() == as_root);
  if (as_root) {
    REQUIRE(::chown(path.c_str(), 0, 1234) == 0);
    CHECK(has(key_error(path), "mode 0440, needs 0600"));
    REQUIRE(::chown(path.c_str(), 1234, 0) == 0);
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    CHECK(has(key_error(path), "belongs to uid 1234, must belong to root or to uid 0"));
    CHECK(tls_read_key(path, 1234).ok());
  }
}

TEST_CASE("Credentials that are good", "[tls]") {
  TlsWorld world;
  const TlsPaths paths = tls_paths(world.folder.path(), {}, tunnel::tls_file_exists);
  auto credentials = test::read_credentials(paths, ::geteuid());
  REQUIRE(credentials.ok());
  CHECK((*credentials)->has_certificate());
  CHECK((*credentials)->crl().empty());
  CHECK(has((*credentials)->shown(), paths.certificate + ": subject \"CN=gate\""));

  world.write_crl({});
  credentials = test::read_credentials(paths, ::geteuid());
  REQUIRE(credentials.ok());
  CHECK((*credentials)->crl().size() == 1);

  world.folder.remove("clientkey.pem");
  credentials = test::read_credentials(paths, ::geteuid());
  REQUIRE(credentials.ok());
  CHECK_FALSE((*credentials)->has_certificate());
  CHECK((*credentials)->shown() == "it was shown no certificate, since there is no " + paths.key);
  world.folder.remove("clientcert.pem");
  credentials = test::read_credentials(paths, ::geteuid());
  REQUIRE(credentials.ok());
  CHECK(has((*credentials)->shown(), "there is no " + paths.certificate + " and " + paths.key));
}

TEST_CASE("A certificate that libvirt may not take is shown with the reason", "[tls]") {
  TlsWorld world;
  const TlsPaths paths = tls_paths(world.folder.path(), {}, tunnel::tls_file_exists);
  const bool only_signs = GENERATE(true, false);
  world.write_client(world.authority.issue({.only_signs = only_signs}));
  auto credentials = test::read_credentials(paths, ::geteuid());
  REQUIRE(credentials.ok());
  CHECK(has((*credentials)->shown(), "lacks digital signature or key encipherment") == only_signs);
}

TEST_CASE("The CA and the CRL must be there and whole", "[tls]") {
  TlsWorld world;
  const std::string folder = world.folder.path();
  std::string said;
  SECTION("missing") {
    world.folder.remove("cacert.pem");
    said = folder + "/cacert.pem is missing";
  }
  SECTION("empty") {
    world.folder.write("cacert.pem", "");
    said = folder + "/cacert.pem cannot be understood";
  }
  SECTION("none good") {
    world.folder.write("cacert.pem", pem("CERTIFICATE", "MIIB") + pem("CERTIFICATE", "MII*"));
    said = "/cacert.pem cannot be understood: certificate 1 (GnuTLS ";
    CHECK(has(complaint(world).text, "), certificate 2 (GnuTLS "));
  }
  SECTION("too large") {
    world.folder.write("cacert.pem", std::string(tunnel::kTlsCertificateLimit + 1, 'c'));
    said = "/cacert.pem is larger than " + std::to_string(tunnel::kTlsCertificateLimit) + " bytes";
  }
  SECTION("a broken CRL") {
    world.folder.write("cacrl.pem", pem("X509 CRL", "MIIB"));
    said = "the CRL " + folder + "/cacrl.pem cannot be understood";
  }
  SECTION("an empty CRL") {
    world.folder.write("cacrl.pem", "");
    said = "the CRL " + folder + "/cacrl.pem cannot be understood";
  }
  SECTION("a good and a broken CRL") {
    world.folder.write("cacrl.pem", world.authority.crl({}) + pem("X509 CRL", "MIIB"));
    said = "the CRL " + folder + "/cacrl.pem cannot be understood";
  }
  const Reason reason = complaint(world);
  CHECK(reason.stage == Stage::handshake);
  INFO(reason.text);
  CHECK(has(reason.text, said));
}

TEST_CASE("Of several CAs those that cannot be understood are left out, and named", "[tls]") {
  TlsWorld world;
  const TlsPaths paths = tls_paths(world.folder.path(), {}, tunnel::tls_file_exists);
  const std::string broken = pem("CERTIFICATE", "MIIB");
  const std::string other = test::Authority("CN=Other CA").certificate();
  std::string text = world.authority.certificate();
  std::string left_out;
  SECTION("none") { text += other; }
  SECTION("behind") {
    text += other + broken;
    left_out = "certificate 3 (GnuTLS ";
  }
  SECTION("before") {
    text = broken + text + other;
    left_out = "certificate 1 (GnuTLS ";
  }
  world.folder.write("cacert.pem", text);
  const auto credentials = test::read_credentials(paths, ::geteuid());
  REQUIRE(credentials.ok());
  CHECK((*credentials)->ca().size() == 2);
  const std::string& note = (*credentials)->note();
  INFO(note);
  CHECK(note.empty() == left_out.empty());
  CHECK(has(note, left_out));
  if (!left_out.empty()) CHECK(has(note, "of " + paths.ca + ", a part is not used: "));
}

TEST_CASE("Our certificate and key must be good", "[tls]") {
  TlsWorld world;
  const std::string folder = world.folder.path();
  std::string said;
  SECTION("the key of another certificate") {
    world.folder.write("clientkey.pem", world.authority.issue({}).key);
    said = "is not of the private key " + folder + "/clientkey.pem";
  }
  SECTION("expired") {
    world.write_client(
        world.authority.issue({.subject = "CN=old", .from_days = -10, .to_days = -1}));
    said = "subject \"CN=old\"";
    CHECK(has(complaint(world).text, "expired on 20"));
  }
  SECTION("not valid yet") {
    world.write_client(world.authority.issue({.from_days = 1}));
    said = "is valid only from 20";
  }
  SECTION("with an expired intermediate") {
    test::Authority old("CN=Old", -10, -1);
    test::Issued identity = old.issue({});
    identity.certificate += old.certificate();
    world.write_client(identity);
    said = "an intermediate certificate in " + folder + "/clientcert.pem (subject \"CN=Old\"";
  }
  SECTION("a key with a passphrase") {
    world.folder.write("clientkey.pem",
                       pem("EC PRIVATE KEY",
                           "Proc-Type: 4,ENCRYPTED\n"
                           "DEK-Info: AES-128-CBC,8A414387EFEA451562950B20F00CEE51\n\n"
                           "iWmuCofMoU6awsvNWJL2hyWfwUSqBGu5i/NKbzOQplewzPRDXONoRi0xz96a+Sgu\n"
                           "Qmp7ptsG4o4TBPVLcSa2v1QV2PwGIw5xvX/GIBaayaYbHUBqeOJSVWk/IX+x1MPd"));
    said = "is protected by a passphrase";
  }
  SECTION("a key with a passphrase, in PKCS #8") {
    world.folder.write("clientkey.pem", pem("ENCRYPTED PRIVATE KEY", "MIIB"));
    said = "is protected by a passphrase";
  }
  SECTION("no key at all") {
    world.folder.write("clientkey.pem", "nothing");
    said = "the private key " + folder + "/clientkey.pem cannot be understood";
  }
  SECTION("a key that others can read") {
    world.folder.write("clientkey.pem", world.client.key, 0644);
    said = "mode 0644, needs 0600";
  }
  SECTION("a certificate that cannot be read") {
    world.folder.remove("clientcert.pem");
    world.folder.make_folder("clientcert.pem");
    said = folder + "/clientcert.pem is not a regular file";
  }
  const Reason reason = complaint(world);
  CHECK(reason.stage == Stage::authentication);
  INFO(reason.text);
  CHECK(has(reason.text, said));
  CHECK_FALSE(has(reason.text, "PRIVATE KEY"));
}
