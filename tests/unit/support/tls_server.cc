#include "tests/unit/support/tls_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "tunnel/tls/library.h"

namespace test {
namespace {

gnutls_datum_t datum(const std::string& text) { return tunnel::tls_datum(base::bytes_of(text)); }

}  // namespace

struct TlsServer::State {
  explicit State(const Options& with);
  ~State() { gnutls_free(ticket_key.data); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void step();
  bool shake();

  static ssize_t send(void* self, const void* data, std::size_t size);
  static ssize_t receive(void* self, void* to, std::size_t size);
  static int wait(void*, unsigned) { return 1; }

  Options options;
  tunnel::TlsSettings settings;
  tunnel::TlsSession tls;
  gnutls_datum_t ticket_key{};
  base::Buffer input;
  base::Buffer output;
  base::Buffer received;
  std::string asked;
  bool lacks_input = false;
  bool shaken = false;
  bool failed = false;
  bool ended = false;
};

TlsServer::State::State(const Options& with)
    : options(with),
      settings(tunnel::tls_make<tunnel::TlsSettings>(gnutls_certificate_allocate_credentials)) {
  const gnutls_datum_t certificate = datum(options.identity.certificate);
  const gnutls_datum_t key = datum(options.identity.key);
  CHECK(gnutls_certificate_set_x509_key_mem(settings.get(), &certificate, &key,
                                            GNUTLS_X509_FMT_PEM) == 0);
  gnutls_session_t made = nullptr;
  CHECK(gnutls_init(&made, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == 0);
  tls.reset(made);
  const char* versions = options.only_tls_1_2 ? "NORMAL:-VERS-TLS1.3" : "NORMAL";
  CHECK(gnutls_priority_set_direct(made, versions, nullptr) == 0);
  if (!options.client_ca.empty()) {
    const gnutls_datum_t ca = datum(options.client_ca);
    CHECK(gnutls_certificate_set_x509_trust_mem(settings.get(), &ca, GNUTLS_X509_FMT_PEM) == 1);
    gnutls_certificate_server_set_request(
        made, options.require_certificate ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
    if (options.require_certificate) gnutls_session_set_verify_cert(made, nullptr, 0);
  }
  if (options.sends_tickets) {
    CHECK(gnutls_session_ticket_key_generate(&ticket_key) == 0);
    CHECK(gnutls_session_ticket_enable_server(made, &ticket_key) == 0);
  }
  CHECK(gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, settings.get()) == 0);
  gnutls_transport_set_ptr(made, this);
  gnutls_transport_set_push_function(made, send);
  gnutls_transport_set_pull_function(made, receive);
  gnutls_transport_set_pull_timeout_function(made, wait);
}

ssize_t TlsServer::State::send(void* self, const void* data, std::size_t size) {
  base::append(static_cast<State*>(self)->output, {static_cast<const std::uint8_t*>(data), size});
  return static_cast<ssize_t>(size);
}

ssize_t TlsServer::State::receive(void* self, void* to, std::size_t size) {
  auto& state = *static_cast<State*>(self);
  if (state.input.empty()) {
    state.lacks_input = true;
    gnutls_transport_set_errno(state.tls.get(), EAGAIN);
    return -1;
  }
  const std::size_t n = std::min(size, state.input.size());
  std::memcpy(to, state.input.data(), n);
  state.input.erase(state.input.begin(), state.input.begin() + static_cast<long>(n));
  return static_cast<ssize_t>(n);
}

// Whether the handshake is done, now or before.
bool TlsServer::State::shake() {
  if (shaken) return true;
  const int code = gnutls_handshake(tls.get());
  if (code == GNUTLS_E_AGAIN) return false;
  if (code != 0) {
    failed = true;
    gnutls_alert_send_appropriate(tls.get(), code);
    return false;
  }
  std::array<char, 256> name{};
  std::size_t size = name.size();
  unsigned type = 0;
  if (gnutls_server_name_get(tls.get(), name.data(), &size, &type, 0) == 0) asked = name.data();
  shaken = true;
  if (options.send_confirmation) {
    CHECK(gnutls_record_send(tls.get(), &options.confirmation, 1) == 1);
  }
  return true;
}

void TlsServer::State::step() {
  if (failed || ended || !shake()) return;
  std::array<unsigned char, 16384> data{};
  for (;;) {
    lacks_input = false;
    const ssize_t code = gnutls_record_recv(tls.get(), data.data(), data.size());
    if (code < 0 && gnutls_error_is_fatal(static_cast<int>(code)) == 0) {
      if (lacks_input) return;
      continue;
    }
    if (code <= 0) {
      ended = code == 0;
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
    const ssize_t code = gnutls_record_send(state_->tls.get(), data.data(), data.size());
    CHECK(code > 0);
    data = data.subspan(static_cast<std::size_t>(code));
  }
}

void TlsServer::close_notify() {
  CHECK(gnutls_bye(state_->tls.get(), GNUTLS_SHUT_WR) == GNUTLS_E_SUCCESS);
}

void TlsServer::alert(std::uint8_t number) {
  CHECK(gnutls_alert_send(state_->tls.get(), GNUTLS_AL_FATAL,
                          static_cast<gnutls_alert_description_t>(number)) == 0);
}

void TlsServer::ask_for_new_handshake() { CHECK(gnutls_rehandshake(state_->tls.get()) == 0); }

void TlsServer::ask_for_new_keys() {
  CHECK(gnutls_session_key_update(state_->tls.get(), GNUTLS_KU_PEER) == 0);
}

void TlsServer::send_ticket() { CHECK(gnutls_session_ticket_send(state_->tls.get(), 1, 0) == 0); }

void TlsServer::write_nothing() { CHECK(gnutls_record_send2(state_->tls.get(), "", 0, 1, 0) >= 0); }

bool TlsServer::shaken() const { return state_->shaken; }
bool TlsServer::failed() const { return state_->failed; }
bool TlsServer::ended() const { return state_->ended; }
const base::Buffer& TlsServer::received() const { return state_->received; }
const std::string& TlsServer::asked_name() const { return state_->asked; }

bool TlsServer::client_has_certificate() const {
  unsigned size = 0;
  return gnutls_certificate_get_peers(state_->tls.get(), &size) != nullptr;
}

std::uint8_t TlsServer::heard_alert() const {
  return static_cast<std::uint8_t>(gnutls_alert_get(state_->tls.get()));
}

std::string TlsServer::version() const {
  return gnutls_protocol_get_name(gnutls_protocol_get_version(state_->tls.get()));
}

std::string TlsServer::cipher() const {
  return gnutls_cipher_get_name(gnutls_cipher_get(state_->tls.get()));
}

}  // namespace test
