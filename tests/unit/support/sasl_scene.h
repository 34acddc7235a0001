// What tests of SASL share: credentials, and clients with them.
#pragma once

#include <memory>
#include <string>

#include "proxy/upstream/sasl.h"
#include "tests/unit/support/sasl_server.h"

namespace test {

inline constexpr const char* kPassword = "correct horse, battery staple";

// Nothing has none.
proxy::CredentialsResult credentials(const char* user, const char* password);

// Users with fred among them, and a maker of clients that are fred.
struct SaslScene {
  SaslScene();

  std::unique_ptr<proxy::SaslClient> client(proxy::SaslSettings settings);

  SaslUsers users;
  std::string user = "fred";
  std::string password = kPassword;
  bool known = true;  // there are credentials
  proxy::Sasl sasl;
};

proxy::SaslSettings over_tcp(const std::string& mechanism = "");
proxy::SaslSettings over_tls(const std::string& mechanism = "");

// How an exchange of client and server ended.
struct Ending {
  bool client = false;  // is through
  bool server = false;
  bool refused = false;  // by the server
  int steps = 0;
  std::optional<proxy::SaslFailure> failure;
};
// Begins, in whatever time it takes.
base::Result<proxy::SaslClient::Output, proxy::SaslFailure> start_sasl(proxy::SaslClient& client,
                                                                       std::string_view offered);

Ending converse(proxy::SaslClient& client, SaslServer& server);

}  // namespace test
