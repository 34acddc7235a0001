#include "tests/unit/support/tls_server.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "tunnel/tls/library.h"

namespace test {

struct TlsServer::State {
  explicit State(const Options& with);
  ~State();
  void step();

  static int send(void* self, const unsigned char* data, std::size_t size);
  static int receive(void* self, unsigned char* to, std::size_t size);
  static int name(void* self, mbedtls_ssl_context*, const unsigned char* text, std::size_t size);

  Options options;
  mbedtls_ssl_context ssl;
  mbedtls_ssl_config config;
  mbedtls_x509_crt certificate;
  mbedtls_x509_crt client_ca;
  mbedtls_pk_context key;
  base::Buffer input;
  base::Buffer output;
  base::Buffer received;
  std::string asked;
  bool shaken = false;
  bool failed = false;
  bool ended = false;
};

namespace {

void parse(mbedtls_x509_crt* to, const std::string& pem) {
  CHECK(mbedtls_x509_crt_parse(to, reinterpret_cast<const unsigned char*>(pem.c_str()),
                               pem.size() + 1) == 0);
}

}  // namespace

TlsServer::State::State(const Options& with) : options(with) {
  CHECK(tunnel::tls_start_library());
  mbedtls_ssl_init(&ssl);
  mbedtls_ssl_config_init(&config);
  mbedtls_x509_crt_init(&certificate);
  mbedtls_x509_crt_init(&client_ca);
  mbedtls_pk_init(&key);
  parse(&certificate, options.identity.certificate);
  const std::string& pem = options.identity.key;
  CHECK(tunnel::tls_parse_key(&key, reinterpret_cast<const unsigned char*>(pem.c_str()),
                              pem.size() + 1) == 0);
  CHECK(mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) == 0);
  tunnel::tls_require_1_2(&config);
#if MBEDTLS_VERSION_MAJOR >= 3
  if (options.only_tls_1_2) {
    mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
  }
#endif
  mbedtls_ssl_conf_rng(&config, tunnel::tls_random, nullptr);
  mbedtls_ssl_conf_sni(&config, name, this);
  CHECK(mbedtls_ssl_conf_own_cert(&config, &certificate, &key) == 0);
  if (!options.client_ca.empty()) {
    parse(&client_ca, options.client_ca);
    mbedtls_ssl_conf_ca_chain(&config, &client_ca, nullptr);
    mbedtls_ssl_conf_authmode(&config, options.require_certificate ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                                   : MBEDTLS_SSL_VERIFY_OPTIONAL);
  }
  CHECK(mbedtls_ssl_setup(&ssl, &config) == 0);
  mbedtls_ssl_set_bio(&ssl, this, send, receive, nullptr);
}

TlsServer::State::~State() {
  mbedtls_ssl_free(&ssl);
  mbedtls_ssl_config_free(&config);
  mbedtls_x509_crt_free(&certificate);
  mbedtls_x509_crt_free(&client_ca);
  mbedtls_pk_free(&key);
}

int TlsServer::State::send(void* self, const unsigned char* data, std::size_t size) {
  base::append(static_cast<State*>(self)->output, {data, size});
  return static_cast<int>(size);
}

int TlsServer::State::receive(void* self, unsigned char* to, std::size_t size) {
  auto& input = static_cast<State*>(self)->input;
  if (input.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
  const std::size_t n = std::min(size, input.size());
  std::copy_n(input.begin(), n, to);
  input.erase(input.begin(), input.begin() + static_cast<long>(n));
  return static_cast<int>(n);
}

int TlsServer::State::name(void* self, mbedtls_ssl_context*, const unsigned char* text,
                           std::size_t size) {
  static_cast<State*>(self)->asked.assign(reinterpret_cast<const char*>(text), size);
  return 0;
}

void TlsServer::State::step() {
  if (failed || ended) return;
  if (!shaken) {
    const int code = mbedtls_ssl_handshake(&ssl);
    if (code == MBEDTLS_ERR_SSL_WANT_READ) return;
    failed = code != 0;
    if (failed) return;
    shaken = true;
    if (options.send_confirmation) {
      CHECK(mbedtls_ssl_write(&ssl, &options.confirmation, 1) == 1);
    }
  }
  std::array<unsigned char, 16384> data{};
  for (;;) {
    const int code = mbedtls_ssl_read(&ssl, data.data(), data.size());
    if (code == MBEDTLS_ERR_SSL_WANT_READ) return;
    if (code <= 0) {
      ended = code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
      failed = !ended;
      return;
    }
    base::append(received, {data.data(), static_cast<std::size_t>(code)});
  }
}

TlsServer::TlsServer(const Options& options) : state_(std::make_unique<State>(options)) {}

TlsServer::~TlsServer() = default;

void TlsServer::receive(base::Bytes data) {
  base::append(state_->input, data);
  state_->step();
}

base::Buffer& TlsServer::output() { return state_->output; }

void TlsServer::write(base::Bytes data) {
  CHECK(state_->shaken);
  while (!data.empty()) {
    const int code = mbedtls_ssl_write(&state_->ssl, data.data(), data.size());
    CHECK(code > 0);
    data = data.subspan(static_cast<std::size_t>(code));
  }
}

void TlsServer::close_notify() { CHECK(mbedtls_ssl_close_notify(&state_->ssl) == 0); }

void TlsServer::alert(std::uint8_t number) {
  CHECK(mbedtls_ssl_send_alert_message(&state_->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, number) == 0);
}

void TlsServer::ask_for_new_handshake() {
#if defined(MBEDTLS_SSL_RENEGOTIATION)
  // The public way asks once and then waits for the answer.
  mbedtls_ssl_conf_renegotiation(&state_->config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
  mbedtls_ssl_renegotiate(&state_->ssl);
#endif
}

bool TlsServer::shaken() const { return state_->shaken; }
bool TlsServer::failed() const { return state_->failed; }
bool TlsServer::ended() const { return state_->ended; }
const base::Buffer& TlsServer::received() const { return state_->received; }
const std::string& TlsServer::asked_name() const { return state_->asked; }

bool TlsServer::client_has_certificate() const {
  return mbedtls_ssl_get_peer_cert(&state_->ssl) != nullptr;
}

std::string TlsServer::version() const { return mbedtls_ssl_get_version(&state_->ssl); }

std::string TlsServer::cipher() const {
  const char* name = mbedtls_ssl_get_ciphersuite(&state_->ssl);
  return name == nullptr ? "" : name;
}

}  // namespace test
