// known_hosts tells known, changed, unknown and revoked keys apart, unreadable lines cost no other
// lines, and new keys are appended without rewriting.
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/whereabouts.h"
#include "tunnel/ssh/digest.h"
#include "tunnel/ssh/host_key_files.h"
#include "tunnel/ssh/known_hosts.h"
#include "tunnel/ssh/wire.h"

namespace {

using tunnel::ssh::HostKeyAnswer;
using tunnel::ssh::KnownHosts;
using Kind = tunnel::ssh::HostKeyAnswer::Kind;

base::Buffer key(std::string_view type, std::string_view body) {
  base::Buffer out;
  tunnel::ssh::put_string(out, type);
  tunnel::ssh::put_string(out, body);
  return out;
}

const base::Buffer kEd = key("ssh-ed25519", "an ed25519 key of thirty-two by.");
const base::Buffer kOtherEd = key("ssh-ed25519", "another ed25519 key of 32 bytes.");
const base::Buffer kEcdsa = key("ecdsa-sha2-nistp256", "a curve and a point");
const base::Buffer kRsa = key("ssh-rsa", "an exponent and a modulus");

std::string text_of_key(const base::Buffer& blob) {
  return std::string(tunnel::ssh::key_type(blob)) + " " + base::encode_base64(blob);
}

const std::string kEdText = text_of_key(kEd);

HostKeyAnswer ask(const std::string& text, std::string_view host, std::uint16_t port,
                  const base::Buffer& offered = kEd) {
  KnownHosts known(host, port);
  known.read("F", text);
  return known.check(offered);
}

std::string hashed(std::string_view name) {
  const base::Buffer salt(20, 0x5a);
  return "|1|" + base::encode_base64(salt) + "|" +
         base::encode_base64(tunnel::ssh::hmac_sha1(salt, base::bytes_of(name)));
}

}  // namespace

TEST_CASE("known_hosts: which names a line means") {
  struct Row {
    std::string names;
    std::string_view host;
    std::uint16_t port;
    bool known;
  };
  const auto row = GENERATE(values<Row>({
      {"hail.example.com", "hail.example.com", 22, true},
      {"hail.example.com", "HAIL.Example.COM", 22, true},
      {"HAIL.example.com", "hail.example.com", 22, true},
      {"hail.example.com", "hail.example.co", 22, false},
      {"hail.example.com", "xhail.example.com", 22, false},
      {"hail.example.com", "hail.example.com", 2222, false},
      {"[hail.example.com]:2222", "hail.example.com", 2222, true},
      {"[hail.example.com]:2222", "hail.example.com", 22, false},
      {"[hail.example.com]:22", "hail.example.com", 22, true},
      {"sleet,hail,192.0.2.1", "hail", 22, true},
      {"sleet,hail,192.0.2.1", "192.0.2.1", 22, true},
      {"sleet,hail,192.0.2.1", "rime", 22, false},
      {",,hail,", "hail", 22, true},
      {"*", "hail", 22, true},
      {"*", "hail", 2222, true},
      {"*.example.com", "hail.example.com", 22, true},
      {"*.example.com", "example.com", 22, false},
      {"*.example.com", "hail.example.com", 2222, false},
      {"[*.example.com]:2222", "hail.example.com", 2222, true},
      {"h?il", "hail", 22, true},
      {"h?il", "hil", 22, false},
      {"h*l*m", "hail.example.com", 22, true},
      {"h*l*q", "hail.example.com", 22, false},
      {"**", "hail", 22, true},
      {"?", "h", 22, true},
      {"h", "h", 22, true},
      {"!hail", "hail", 22, false},
      {"!hail", "sleet", 22, false},
      {"*,!hail", "hail", 22, false},
      {"!hail,*", "hail", 22, false},
      {"*,!hail", "sleet", 22, true},
      {"*,!HAIL", "hail", 22, false},
      {"*.example.com,!secret.*", "secret.example.com", 22, false},
      {"::1", "::1", 22, true},
      {"[::1]:2222", "::1", 2222, true},
      {"192.0.2.*", "192.0.2.77", 22, true},
      {hashed("hail"), "hail", 22, true},
      {hashed("hail"), "HAIL", 22, true},
      {hashed("hail"), "sleet", 22, false},
      {hashed("hail"), "hail", 2222, false},
      {hashed("[hail]:2222"), "hail", 2222, true},
      {hashed("[hail]:22"), "hail", 22, true},
      {"|1||", "hail", 22, false},
      {"|1|AAAA", "hail", 22, false},
      {"|2|AAAA|AAAA", "hail", 22, false},
  }));
  CAPTURE(row.names, row.host, row.port);
  const HostKeyAnswer answer = ask(row.names + " " + kEdText + "\n", row.host, row.port);
  CHECK(answer.kind == (row.known ? Kind::known : Kind::unknown));
  CHECK(answer.place == (row.known ? "F:1" : ""));
}

TEST_CASE("known_hosts: known, changed, unknown and revoked are told apart") {
  const std::string other = "hail " + text_of_key(kOtherEd) + "\n";
  const std::string ecdsa = "hail " + text_of_key(kEcdsa) + "\n";

  const HostKeyAnswer changed = ask("# a comment\n\n" + ecdsa + other, "hail", 22);
  CHECK(changed.kind == Kind::changed);
  CHECK(changed.place == "F:4");
  CHECK(changed.stored_type == "ssh-ed25519");
  CHECK(changed.stored_fingerprint == tunnel::ssh::fingerprint(kOtherEd));

  const HostKeyAnswer other_type = ask(ecdsa, "hail", 22);
  CHECK(other_type.kind == Kind::changed);
  CHECK(other_type.stored_type == "ecdsa-sha2-nistp256");

  CHECK(ask(other + "hail " + kEdText + "\n", "hail", 22).place == "F:2");
  CHECK(ask("", "hail", 22).kind == Kind::unknown);

  const HostKeyAnswer revoked =
      ask("hail " + kEdText + "\n@revoked * " + kEdText + "\n", "hail", 22);
  CHECK(revoked.kind == Kind::revoked);
  CHECK(revoked.place == "F:2");
  CHECK(ask("@revoked sleet " + kEdText + "\nhail " + kEdText, "hail", 22).kind == Kind::known);
  CHECK(ask("@revoked hail " + text_of_key(kOtherEd) + "\n", "hail", 22).kind == Kind::unknown);
}

TEST_CASE("known_hosts: what cannot be read is skipped and said, and nothing else is lost") {
  const std::string good = "hail " + kEdText + " a comment with words\r\n";
  const auto line = GENERATE(values<std::string>({
      "hail",
      "hail ssh-ed25519",
      "hail ssh-ed25519 AAAA!",
      "hail ssh-ed25519 AAAA",
      "hail ssh-rsa " + base::encode_base64(kEd),
      "hail 1024 35 1234567890",
      "@unheard-of hail " + text_of_key(kOtherEd),
      "@revoked hail",
      "@revoked",
      "@",
      "|9|x|y " + text_of_key(kOtherEd),
      "hail ssh-ed25519 " + std::string(200000, 'A'),
      std::string("ha\0il ssh-ed25519 AAAA", 22),
  }));
  CAPTURE(line.substr(0, 60));
  KnownHosts known("hail", 22);
  known.read("F", line + "\n" + good);
  CHECK(known.check(kEd).kind == Kind::known);
  CHECK(known.check(kEd).place == "F:2");
  REQUIRE(known.notes().size() == 1);
  CHECK(known.notes()[0].starts_with("F:1: skipped: "));
}

TEST_CASE("known_hosts: many bad lines make few notes") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "bad\n";
  KnownHosts known("hail", 22);
  known.read("F", text);
  CHECK(known.notes().size() == 17);
  CHECK(known.notes().back() == "known_hosts: and more lines that were skipped");
}

TEST_CASE("known_hosts: a certificate authority is reported, not believed") {
  KnownHosts known("hail", 22);
  known.read("F", "@cert-authority *,!sleet " + kEdText + "\n");
  CHECK(known.check(kEd).kind == Kind::unknown);
  CHECK(known.authority() == "F:1");
  KnownHosts other("sleet", 22);
  other.read("F", "@cert-authority *,!sleet " + kEdText + "\n");
  CHECK(other.authority().empty());
}

TEST_CASE("known_hosts: algorithms are asked for by what is known") {
  const std::vector<std::string> old{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-ed25519",
                                     "ssh-rsa", "ssh-dss"};
  using Names = std::vector<std::string>;
  using tunnel::ssh::host_key_algorithms;
  CHECK(host_key_algorithms(old, {}) ==
        Names{"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-rsa"});
  CHECK(host_key_algorithms(old, {"ecdsa-sha2-nistp384"}) ==
        Names{"ecdsa-sha2-nistp384", "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"});
  CHECK(host_key_algorithms({"rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519", "ssh-rsa",
                             "ssh-rsa-cert-v01@openssh.com"},
                            {"ssh-rsa"}) ==
        Names{"rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "ssh-ed25519"});

  KnownHosts known("hail", 22);
  known.read("F", "hail " + text_of_key(kRsa) + "\nhail " + kEdText + "\nhail " +
                      text_of_key(kRsa) + "\n@revoked hail " + text_of_key(kEcdsa) + "\n");
  CHECK(known.types() == Names{"ssh-rsa", "ssh-ed25519"});
}

TEST_CASE("known_hosts: a new key is appended and nothing rewritten") {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "deep/er/known_hosts");
  REQUIRE_FALSE(tunnel::ssh::record_host_key(file, "Hail", 22, kEd));
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(test::read_file(folder / "deep/er/known_hosts") == "hail " + kEdText + "\n");

  test::write_file(folder / "deep/er/known_hosts", "# kept as it is\nno line end");
  REQUIRE_FALSE(tunnel::ssh::record_host_key(file, "hail", 2222, kEcdsa));
  CHECK(test::read_file(folder / "deep/er/known_hosts") ==
        "# kept as it is\nno line end\n[hail]:2222 " + text_of_key(kEcdsa) + "\n");

  SECTION("the same key is not written twice") {
    const std::string before = test::read_file(folder / "deep/er/known_hosts");
    REQUIRE_FALSE(tunnel::ssh::record_host_key(file, "hail", 2222, kEcdsa));
    CHECK(test::read_file(folder / "deep/er/known_hosts") == before);
  }
  SECTION("a different key that came in between is not overruled") {
    CHECK(tunnel::ssh::record_host_key(file, "hail", 2222, kEd).has_value());
    test::write_file(folder / "deep/er/known_hosts", "@revoked * " + kEdText + "\n");
    CHECK(tunnel::ssh::record_host_key(file, "hail", 22, kEd).has_value());
  }
  SECTION("names that would mean something else are refused") {
    const auto host = GENERATE(values<std::string>({"a,b", "*", "a b", "!a", "|1|", "a\nb", "#"}));
    CHECK(tunnel::ssh::record_host_key(file, host, 22, kEd).has_value());
  }
  SECTION("no place, no record") {
    CHECK(tunnel::ssh::record_host_key("", "hail", 22, kEd).has_value());
    CHECK(tunnel::ssh::record_host_key("/proc/none/known_hosts", "hail", 22, kEd).has_value());
  }
}

TEST_CASE("known_hosts: the files are the named one, or those of user, libvirt and system") {
  tunnel::ssh::SshEnvironment environment;
  environment.home = "/h";
  environment.config_home = "/h/.config";
  tunnel::Target target;
  CHECK(tunnel::ssh::host_key_files(target, environment, test::unasked).files ==
        std::vector<std::string>{"/h/.ssh/known_hosts", "/h/.config/libvirt/known_hosts",
                                 "/etc/ssh/ssh_known_hosts"});
  CHECK(tunnel::ssh::host_key_files(target, environment, test::unasked).record ==
        "/h/.config/libvirt/known_hosts");
  target.known_hosts = "/k";
  CHECK(tunnel::ssh::host_key_files(target, environment, test::unasked).files ==
        std::vector<std::string>{"/k"});
  CHECK(tunnel::ssh::host_key_files(target, environment, test::unasked).record == "/k");
}

TEST_CASE("known_hosts: several files are one; one that cannot be used is an error") {
  const test::TemporaryFolder folder;
  test::write_file(folder / "a", "hail " + text_of_key(kEcdsa) + "\n");
  test::write_file(folder / "b", "hail " + kEdText + "\n");
  const std::vector<std::string> files{(folder / "none"), (folder / "a"), (folder / "b")};
  const auto known = tunnel::ssh::load_known_hosts({files, "", false}, "hail", 22, test::unasked);
  REQUIRE(known.ok());
  CHECK(known.value().check(kEd).place == (folder / "b") + ":1");

  test::write_file(folder / "large", std::string(tunnel::ssh::kLargestKnownHosts + 1, '\n'));
  CHECK_FALSE(
      tunnel::ssh::load_known_hosts({{(folder / "large")}, "", false}, "hail", 22, test::unasked)
          .ok());
  CHECK_FALSE(
      tunnel::ssh::load_known_hosts({{(folder / "")}, "", false}, "hail", 22, test::unasked).ok());
}
