// A CA with a server and a client that trust it, and the client's files in a folder: what nearly
// each test of TLS starts from. A test changes what it is about before it connects.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/support/temporary_folder.h"
#include "tests/unit/support/tls_authority.h"
#include "tests/unit/support/tls_server.h"
#include "tunnel/tls/credentials.h"
#include "tunnel/tls/engine.h"

namespace test {

struct TlsWorld {
  TlsWorld();

  // Certificate and key of the client, as files.
  void write_client(const Issued& identity) const;
  void write_crl(const CrlWish& wish) const;

  // The engine that these files make; they must be good.
  [[nodiscard]] std::unique_ptr<tunnel::TlsEngine> engine();
  [[nodiscard]] std::unique_ptr<TlsServer> server() const;

  TemporaryFolder folder;
  Authority authority;
  Issued client;
  TlsServer::Options options;  // of the server, whose certificate is for hail.example
  tunnel::TlsPeer peer;
  std::vector<std::string> notes;
};

// What is in these files, understood.
base::Result<std::unique_ptr<tunnel::TlsCredentials>, tunnel::io::Reason> read_credentials(
    const tunnel::TlsPaths& paths, uid_t uid);

// Carries bytes both ways, at most `piece` at a time (0: all there is), until nothing moves. What
// the client's engine can read is collected in `data`.
void pump(tunnel::TlsEngine& client, TlsServer& server, std::size_t piece, base::Buffer& data);

// The same, all at once, for those who want no data.
void pump(tunnel::TlsEngine& client, TlsServer& server);

// Starts a handshake, which must go through.
void shake_hands(tunnel::TlsEngine& client, TlsServer& server);

}  // namespace test
