#include "tests/unit/support/tls_world.h"

#include <algorithm>

#include <unistd.h>

#include "base/check.h"
#include "tests/unit/support/catch.h"
#include "tunnel/tls/credentials.h"

namespace test {
namespace {

base::Buffer take(base::Buffer& from, std::size_t piece) {
  const std::size_t n = piece == 0 ? from.size() : std::min(piece, from.size());
  base::Buffer taken(from.begin(), from.begin() + static_cast<long>(n));
  from.erase(from.begin(), from.begin() + static_cast<long>(n));
  return taken;
}

}  // namespace

TlsWorld::TlsWorld() {
  Wish wish;
  wish.subject = "CN=hail,O=Weather";
  wish.dns = {"hail.example", "*.storm.example"};
  wish.addresses = {"127.0.0.1", "10.1.2.3", "::1", "2001:db8::7"};
  wish.purpose = kServerPurpose;
  options.identity = authority.issue(wish);
  options.client_ca = authority.certificate();
  Wish ours;
  ours.subject = "CN=gate";
  ours.purpose = kClientPurpose;
  client = authority.issue(ours);
  folder.write("cacert.pem", authority.certificate());
  write_client(client);
  peer.host = "hail.example";
}

void TlsWorld::write_client(const Issued& identity) const {
  folder.write("clientcert.pem", identity.certificate);
  folder.write("clientkey.pem", identity.key);
}

void TlsWorld::write_crl(const CrlWish& wish) const {
  folder.write("cacrl.pem", authority.crl(wish));
}

std::unique_ptr<tunnel::TlsEngine> TlsWorld::engine() {
  const tunnel::TlsPaths paths =
      tunnel::tls_paths(folder.path(), tunnel::TlsPlaces(), tunnel::tls_file_exists);
  auto credentials = test::read_credentials(paths, ::geteuid());
  CHECK(credentials.ok());
  return std::make_unique<tunnel::TlsEngine>(
      peer, std::move(credentials).value(),
      [this](const std::string& note) { notes.push_back(note); });
}

base::Result<std::unique_ptr<tunnel::TlsCredentials>, tunnel::io::Reason> read_credentials(
    const tunnel::TlsPaths& paths, uid_t uid) {
  tunnel::io::Whereabouts whereabouts;
  return tunnel::TlsCredentials::understand(tunnel::tls_read_files(paths, uid, whereabouts));
}

std::unique_ptr<TlsServer> TlsWorld::server() const { return std::make_unique<TlsServer>(options); }

void pump(tunnel::TlsEngine& client, TlsServer& server, std::size_t piece, base::Buffer& data) {
  for (bool moved = true; moved;) {
    moved = false;
    while (!client.output().empty()) {
      server.receive(take(client.output(), piece));
      moved = true;
    }
    while (!server.output().empty()) {
      client.receive(take(server.output(), piece));
      moved = true;
      for (base::Bytes some = client.read(); !some.empty(); some = client.read()) {
        base::append(data, some);
      }
    }
  }
}

void pump(tunnel::TlsEngine& client, TlsServer& server) {
  base::Buffer data;
  pump(client, server, 0, data);
}

void shake_hands(tunnel::TlsEngine& client, TlsServer& server) {
  client.start();
  pump(client, server);
  REQUIRE(client.state() == tunnel::TlsEngine::State::open);
}

}  // namespace test
