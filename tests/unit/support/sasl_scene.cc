#include "tests/unit/support/sasl_scene.h"

namespace test {

using proxy::SaslSettings;

proxy::CredentialsResult credentials(const char* user, const char* password) {
  conf::Credentials out;
  out.place = "[credentials-test] in auth.conf";
  if (user != nullptr) out.authname = user;
  if (password != nullptr) out.password = base::Secret(std::string_view(password));
  return out;
}

SaslScene::SaslScene()
    : sasl([this](const std::string&, const std::string&, auto&) {
        if (known) return credentials(user.c_str(), password.c_str());
        return proxy::CredentialsResult(base::Failure{std::string("there is no auth.conf")});
      }) {
  users.add("fred", kPassword);
}

std::unique_ptr<proxy::SaslClient> SaslScene::client(SaslSettings settings) {
  tunnel::io::Whereabouts whereabouts;
  return sasl.maker()(std::move(settings), "", whereabouts).value();
}

SaslSettings over_tcp(const std::string& mechanism) {
  SaslSettings settings;
  settings.host = kSaslHost;
  settings.mechanism = mechanism;
  settings.layer = true;
  return settings;
}

SaslSettings over_tls(const std::string& mechanism) {
  SaslSettings settings;
  settings.host = kSaslHost;
  settings.mechanism = mechanism;
  settings.plaintext = true;
  return settings;
}

namespace {

base::Buffer copy(base::Bytes bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

base::Result<proxy::SaslClient::Output, proxy::SaslFailure> start_sasl(proxy::SaslClient& client,
                                                                       std::string_view offered) {
  tunnel::io::Whereabouts whereabouts;
  return client.start(offered, whereabouts);
}

Ending converse(proxy::SaslClient& client, SaslServer& server) {
  Ending ending;
  auto said = start_sasl(client, server.mechanisms());
  while (said) {
    ending.client = said->done;
    const auto data = said->data ? std::optional(copy(*said->data)) : std::nullopt;
    const std::optional<base::Bytes> view = data ? std::optional<base::Bytes>(*data) : std::nullopt;
    const SaslServer::Answer answer =
        ending.steps++ == 0 ? server.start(client.mechanism(), view) : server.step(view);
    ending.server = answer.complete;
    ending.refused = answer.refused;
    const bool over = answer.refused || ending.client || (answer.complete && !answer.data);
    if (over) return ending;
    said = client.step(answer.data ? std::optional<base::Bytes>(*answer.data) : std::nullopt);
    if (said) ending.client = said->done;
    if (said && answer.complete) return ending;
  }
  ending.failure = said.error();
  return ending;
}

}  // namespace test
