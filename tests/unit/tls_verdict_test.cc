// A server's certificate is judged by its names, dates, CA and CRL, wildcards match as in GnuTLS,
// and all that is wrong is said at once.
#include <set>

#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/tls_world.h"
#include "tunnel/tls/verdict.h"

using base::Buffer;
using test::Authority;
using test::TlsWorld;
using test::Wish;
using tunnel::tls_host;
using tunnel::TlsEngine;
using tunnel::io::Reason;
using tunnel::io::Stage;
using State = TlsEngine::State;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What becomes of a connection to the world's server.
Reason outcome(TlsWorld& world) {
  auto client = world.engine();
  auto server = world.server();
  client->start();
  pump(*client, *server);
  if (client->state() == State::open) return {};
  REQUIRE(client->state() == State::failed);
  // The server has been told by an alert, and nothing of ours went over the connection.
  CHECK(server->failed());
  CHECK_FALSE(server->shaken());
  CHECK_FALSE(server->client_has_certificate());
  return client->failure();
}

bool opens(TlsWorld& world) { return outcome(world).text.empty(); }

void refuses(TlsWorld& world, const std::vector<std::string>& parts) {
  const Reason reason = outcome(world);
  CHECK(reason.kind == Reason::Kind::refused);
  CHECK(reason.stage == Stage::handshake);
  INFO(reason.text);
  for (const std::string& part : parts) {
    INFO(part);
    CHECK(has(reason.text, part));
  }
}

Wish server_wish() {
  Wish wish;
  wish.subject = "CN=hail";
  wish.dns = {"hail.example"};
  return wish;
}

}  // namespace

TEST_CASE("A host is a name or an address", "[tls]") {
  CHECK(tls_host("hail.example").address.empty());
  CHECK(std::string(tls_host("hail.example").dns_name()) == "hail.example");
  CHECK(std::string(tls_host("hail.example.").dns_name()) == "hail.example");
  CHECK(std::string(tls_host(".").dns_name()) == ".");
  CHECK((tls_host("10.1.2.3").address == Buffer{10, 1, 2, 3}));
  CHECK(tls_host("10.1.2.3").dns_name() == nullptr);
  CHECK(tls_host("2001:db8::7").address.size() == 16);
  CHECK(tls_host("::ffff:10.1.2.3").address.size() == 16);
  CHECK(tls_host("fe80::1%eth0").address.size() == 16);
  CHECK(tls_host("fe80::1%eth0").name == "fe80::1");
  // What only some programs take for addresses is a name, which no certificate has.
  for (const char* host : {"10.1", "0x0a010203", "167838211", "10.1.2.3.", "1.2.3.4%eth0"}) {
    CHECK(tls_host(host).address.empty());
  }
}

TEST_CASE("A certificate is good for the names and addresses that it lists", "[tls]") {
  TlsWorld world;
  SECTION("good") {
    world.peer.host =
        GENERATE(as<std::string>{}, "hail.example", "HAIL.Example", "hail.example.", "127.0.0.1",
                 "10.1.2.3", "::1", "2001:db8::7", "2001:DB8:0::0007", "a.storm.example");
    CHECK(opens(world));
  }
  SECTION("other names") {
    world.peer.host = GENERATE(as<std::string>{}, "rain.example", "example", "hail", "hail.exampl",
                               "storm.example", "a.b.storm.example");
    refuses(world,
            {"is not for the name " + world.peer.host, "DNS hail.example", "DNS *.storm.example",
             "IP 10.1.2.3", "IP 2001:db8::7", "CN=hail", "the server's certificate"});
  }
  SECTION("other addresses") {
    world.peer.host = GENERATE(as<std::string>{}, "127.0.0.2", "10.1.2.4", "::2", "2001:db8::8",
                               "::ffff:10.1.2.3", "0.0.0.0");
    refuses(world,
            {"is not for the address " + world.peer.host, "IP 10.1.2.3", "IP ::1", "CN=hail"});
  }
}

TEST_CASE("No name is sent for an address", "[tls]") {
  TlsWorld world;
  world.peer.host = GENERATE(as<std::string>{}, "127.0.0.1", "::1");
  auto client = world.engine();
  auto server = world.server();
  client->start();
  pump(*client, *server);
  CHECK(client->state() == State::open);
  CHECK(server->asked_name().empty());
}

TEST_CASE("An address counts only as an iPAddress", "[tls]") {
  TlsWorld world;
  Wish wish;
  SECTION("not in the common name") {
    wish.subject = "CN=10.1.2.3";
    world.options.identity = world.authority.issue(wish);
    world.peer.host = "10.1.2.3";
    refuses(world, {"is not for the address 10.1.2.3", "alternative names none"});
  }
  SECTION("not as a DNS name") {
    wish.dns = {"10.1.2.3", "::1"};
    world.options.identity = world.authority.issue(wish);
    world.peer.host = GENERATE(as<std::string>{}, "10.1.2.3", "::1");
    refuses(world, {"is not for the address", "DNS 10.1.2.3"});
  }
  SECTION("not by four bytes of a longer one") {
    wish.addresses = {"a01:203::"};
    world.options.identity = world.authority.issue(wish);
    world.peer.host = "10.1.2.3";
    refuses(world, {"is not for the address"});
  }
}

TEST_CASE("Wildcards match as in GnuTLS", "[tls]") {
  TlsWorld world;
  struct Case {
    const char* pattern;
    const char* name;
    bool good;
  };
  const Case c = GENERATE(values<Case>({
      {"hv.test", "hv.test", true},
      {"HV.Test", "hv.test", true},
      {"hv.test", "HV.TEST", true},
      {"hv.test.", "hv.test", false},
      {"a.hv.test", "hv.test", false},
      {"*.test", "hv.test", false},
      {"*.test.", "hv.test", false},
      {"*", "hv", false},
      {"*.b.test", "a.b.test", true},
      {"*.b.test", "x.a.b.test", false},
      {"*.b.test", "b.test", false},
      {"*oo.b.test", "foo.b.test", true},
      {"f*.b.test", "foo.b.test", false},
      {"a.*.test", "a.b.test", false},
      {"*.*.test", "a.b.test", false},
  }));
  INFO(c.pattern << " for " << c.name);
  Wish wish;
  wish.dns = {c.pattern};
  world.options.identity = world.authority.issue(wish);
  world.peer.host = c.name;
  CHECK(opens(world) == c.good);
}

TEST_CASE("A DNS name with a NUL matches nothing", "[tls]") {
  TlsWorld world;
  Wish wish;
  wish.dns = {std::string("hail.example\0.evil", 18)};
  world.options.identity = world.authority.issue(wish);
  refuses(world, {"is not for the name hail.example"});
}

TEST_CASE("The common name counts where there are no alternative names", "[tls]") {
  TlsWorld world;
  Wish wish;
  wish.subject = "CN=hail.example";
  world.options.identity = world.authority.issue(wish);
  CHECK(opens(world));
  wish.addresses = {"10.1.2.3"};
  world.options.identity = world.authority.issue(wish);
  refuses(world, {"is not for the name hail.example", "IP 10.1.2.3"});
}

TEST_CASE("Certificates have their time", "[tls]") {
  TlsWorld world;
  Wish wish = server_wish();
  SECTION("over") {
    wish.from_days = -10;
    wish.to_days = -1;
    world.options.identity = world.authority.issue(wish);
    refuses(world, {"the server's certificate expired on 20", "CN=hail", "valid from 20"});
  }
  SECTION("to come") {
    wish.from_days = 1;
    world.options.identity = world.authority.issue(wish);
    refuses(world, {"the server's certificate is valid only from 20"});
  }
  SECTION("of the CA") {
    Authority old("CN=Old CA", -10, -1);
    world.folder.write("cacert.pem", old.certificate());
    world.options.identity = old.issue(wish);
    refuses(world, {"the CA certificate in " + world.folder.path() + "/cacert.pem expired on",
                    "CN=Old CA"});
  }
}

TEST_CASE("Only the CA of the file is trusted", "[tls]") {
  TlsWorld world;
  SECTION("another CA") {
    Authority other("CN=Other CA");
    world.options.identity = other.issue(server_wish());
    refuses(world,
            {"was not signed by a CA in " + world.folder.path() + "/cacert.pem", "CN=Other CA"});
  }
  SECTION("another CA of the same name") {
    Authority other("CN=Test CA");
    world.options.identity = other.issue(server_wish());
    refuses(world, {"names an issuer that is in", "not signed with its key"});
  }
  SECTION("one of two CAs") {
    Authority other("CN=Other CA");
    world.folder.write("cacert.pem", other.certificate() + world.authority.certificate());
    CHECK(opens(world));
  }
  SECTION("an intermediate") {
    auto middle = world.authority.intermediate("CN=Middle");
    world.options.identity = middle->issue(server_wish());
    refuses(world, {"was not signed by a CA in"});
    world.options.identity.certificate += middle->certificate();
    CHECK(opens(world));
    world.write_crl({.revoked = {2, 3, 4}});
    refuses(world, {"an intermediate certificate of the server was revoked on", "CN=Middle"});
  }
  SECTION("a certificate that is no CA") {
    const test::Issued leaf = world.authority.issue(server_wish());
    world.folder.write("cacert.pem", leaf.certificate);
    refuses(world, {"was not signed by a CA in"});
  }
}

TEST_CASE("What GnuTLS finds is never without words", "[tls]") {
  TlsWorld world;
  world.write_client(world.options.identity);
  auto credentials = test::read_credentials(
      tunnel::tls_paths(world.folder.path(), {}, tunnel::tls_file_exists), ::geteuid());
  REQUIRE(credentials.ok());
  tunnel::TlsVerdict good(tls_host("hail.example"), **credentials);
  CHECK_FALSE(good.complete());
  good.judge({});
  CHECK_FALSE(good.complete());
  good.judge((*credentials)->certificate(), 0);
  CHECK(good.complete());
  CHECK(good.failures().empty());
  std::set<std::string> all;
  for (unsigned bit = 0; bit < 32; ++bit) {
    tunnel::TlsVerdict verdict(tls_host("hail.example"), **credentials);
    verdict.judge((*credentials)->certificate(), 1U << bit);
    REQUIRE(verdict.failures().size() == 1);
    CHECK(verdict.failures()[0].certificate == "the server's certificate");
    INFO(verdict.text());
    REQUIRE(verdict.failures()[0].checks.size() == 1);
    CHECK(has(verdict.text(), "CN=hail"));
    all.insert(verdict.failures()[0].checks[0]);
  }
  CHECK(all.size() >= 10);
}

TEST_CASE("A certificate that is not for servers is refused", "[tls]") {
  TlsWorld world;
  Wish wish = server_wish();
  wish.purpose = test::kClientPurpose;
  world.options.identity = world.authority.issue(wish);
  refuses(world, {"has an extended key usage that does not allow a TLS server", "CN=hail"});
}

TEST_CASE("What is signed with SHA-1, or has a short key, is refused", "[tls]") {
  TlsWorld world;
  Wish wish = server_wish();
  SECTION("SHA-1") { wish.sha1 = true; }
  SECTION("RSA of 1024 bits") { wish.kind = test::KeyKind::short_rsa; }
  world.options.identity = world.authority.issue(wish);
  refuses(world, {"a hash that is not safe, such as SHA-1, or has to do with a key that is too "
                  "short"});
}

TEST_CASE("Keys may be Ed25519", "[tls]") {
  TlsWorld world;
  Wish wish = server_wish();
  wish.kind = test::KeyKind::ed25519;
  world.options.identity = world.authority.issue(wish);
  wish.subject = "CN=gate";
  world.write_client(world.authority.issue(wish));
  CHECK(opens(world));
}

TEST_CASE("A CA does not vouch for a host that it excludes, by a wildcard either", "[tls]") {
  TlsWorld world;
  Authority ca(Wish{.subject = "CN=Test CA", .excluded = "h.a.test"});
  world.folder.write("cacert.pem", ca.certificate());
  Wish wish;
  wish.dns = {"*.a.test"};
  world.options.identity = ca.issue(wish);
  world.peer.host = "i.a.test";
  CHECK(opens(world));
  world.peer.host = "h.a.test";
  refuses(world, {"is below a CA that may not vouch for the name h.a.test"});
  wish.dns = {"h.a.test"};
  world.options.identity = ca.issue(wish);
  refuses(world, {"has a name that a CA above it does not permit"});
}

TEST_CASE("A chain that is too long is refused unseen", "[tls]") {
  TlsWorld world;
  auto credentials = test::read_credentials(
      tunnel::tls_paths(world.folder.path(), {}, tunnel::tls_file_exists), ::geteuid());
  REQUIRE(credentials.ok());
  tunnel::TlsChain chain;
  for (int i = 0; i < 17; ++i) {
    chain.push_back(tunnel::tls_make<tunnel::TlsCertificate>(gnutls_x509_crt_init));
    const gnutls_datum_t pem =
        tunnel::tls_datum(base::bytes_of(world.options.identity.certificate));
    REQUIRE(gnutls_x509_crt_import(chain.back().get(), &pem, GNUTLS_X509_FMT_PEM) == 0);
  }
  tunnel::TlsVerdict verdict(tls_host("hail.example"), **credentials);
  verdict.judge(chain);
  CHECK(has(verdict.text(), "the server's certificate came with 16 others"));
  chain.pop_back();
  tunnel::TlsVerdict other(tls_host("hail.example"), **credentials);
  other.judge(chain);
  CHECK(other.text().empty());
}

TEST_CASE("A CRL revokes, and must be good itself", "[tls]") {
  TlsWorld world;
  const std::string file = world.folder.path() + "/cacrl.pem";
  const unsigned serial = world.options.identity.serial;
  SECTION("of others") {
    world.write_crl({.revoked = {serial + 77}});
    CHECK(opens(world));
    world.write_crl({});
    CHECK(opens(world));
  }
  SECTION("of the server") {
    world.write_crl({.revoked = {serial + 77, serial}});
    refuses(world, {"the server's certificate was revoked on 20", "by the CRL " + file});
  }
  SECTION("out of date") {
    world.write_crl({.from_days = -10, .to_days = -1});
    refuses(world, {"may be revoked or not", "was to be replaced by 20", file});
  }
  SECTION("out of date, and revoked") {
    world.write_crl({.revoked = {serial}, .from_days = -10, .to_days = -1});
    refuses(world, {"was revoked on 20", ", and may be revoked or not", "was to be replaced by"});
  }
  SECTION("of the future") {
    world.write_crl({.from_days = 1});
    refuses(world, {"may be revoked or not", "is valid only from 20", file});
  }
  SECTION("signed by another") {
    Authority other("CN=Test CA");
    world.folder.write("cacrl.pem", other.crl({}));
    refuses(world, {"was not signed by the CA that it names", file});
  }
  SECTION("of another CA") {
    Authority other("CN=Other CA");
    world.folder.write("cacrl.pem", other.crl({.revoked = {serial}}));
    CHECK(opens(world));
  }
  SECTION("two in one file") {
    Authority other("CN=Other CA");
    world.folder.write("cacrl.pem",
                       other.crl({}) + world.authority.crl({.revoked = {serial}}) + "\n\n");
    refuses(world, {"was revoked on 20"});
  }
}

TEST_CASE("All that is wrong is said at once", "[tls]") {
  TlsWorld world;
  Authority other("CN=Other CA");
  Wish wish = server_wish();
  wish.from_days = -10;
  wish.to_days = -1;
  world.options.identity = other.issue(wish);
  world.peer.host = "rain.example";
  refuses(world, {"expired on", "is not for the name rain.example", "was not signed by a CA in"});
}

TEST_CASE("What certificates say is quoted raw, and made printable by whoever shows it", "[tls]") {
  TlsWorld world;
  Wish wish;
  wish.subject = "CN=a\x1b[31mb";
  wish.dns = {"evil\x1b[2J\n.example"};
  world.options.identity = world.authority.issue(wish);
  const Reason reason = outcome(world);
  REQUIRE_FALSE(reason.text.empty());
  CHECK(has(reason.text, "DNS evil\x1b[2J\n.example"));
}

TEST_CASE("Without verification what is wrong is noted, once", "[tls]") {
  TlsWorld world;
  world.peer.verify = false;
  CHECK(opens(world));
  CHECK(world.notes.empty());
  Authority other("CN=Other CA");
  Wish wish = server_wish();
  wish.to_days = 0;
  world.options.identity = other.issue(wish);
  world.peer.host = GENERATE(as<std::string>{}, "rain.example", "10.9.9.9");
  CHECK(opens(world));
  REQUIRE(world.notes.size() == 1);
  CHECK(has(world.notes[0], "is not for the "));
  CHECK(has(world.notes[0], world.peer.host));
  CHECK(has(world.notes[0], "was not signed by a CA in"));
  CHECK(has(world.notes[0], "accepted all the same"));
}
