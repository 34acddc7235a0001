#include "tunnel/tls/engine.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "tunnel/tls/credentials.h"
#include "tunnel/tls/failure.h"
#include "tunnel/tls/library.h"
#include "tunnel/tls/text.h"
#include "tunnel/tls/verdict.h"

namespace tunnel {
namespace {

using io::Reason;
using io::Stage;

// ChaCha20 first: mbedTLS is faster with it than with AES, with AES-NI too.
constexpr int kCipherSuites[] = {
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    0,
};

// What a server may make us send by asking, such as refusals of a renegotiation, before it is taken
// for an attack.
constexpr std::size_t kUnaskedLimit = std::size_t{16} * 1024;

constexpr std::size_t kRecord = 16384;
constexpr std::uint8_t kConfirmed = 1;

}  // namespace

struct TlsEngine::Session {
  Session(const TlsPeer& peer, std::unique_ptr<TlsCredentials> with, Notes to);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int set_up();
  void step();
  void shake_hands();
  void await_confirmation();
  int take(std::uint8_t* to, std::size_t size);
  bool check_certificates();
  void fail(Reason::Kind kind, std::string text);
  void fail(int code);

  static int send(void* self, const unsigned char* data, std::size_t size);
  static int receive(void* self, unsigned char* to, std::size_t size);
  static int verify(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags);

  mbedtls_ssl_context ssl;
  mbedtls_ssl_config config;
  bool must_verify;
  std::unique_ptr<TlsCredentials> credentials;
  TlsVerdict verdict;
  Notes notes;
  State state = State::handshaking;
  Reason failure;
  base::Buffer input;
  std::size_t input_used = 0;
  bool input_ended = false;
  bool heard = false;
  base::Buffer output;
  std::size_t unasked = 0;
  std::array<std::uint8_t, kRecord> plaintext{};
};

TlsEngine::Session::Session(const TlsPeer& peer, std::unique_ptr<TlsCredentials> with, Notes to)
    : must_verify(peer.verify),
      credentials(std::move(with)),
      verdict(tls_host(peer.host), *credentials),
      notes(std::move(to)) {
  mbedtls_ssl_init(&ssl);
  mbedtls_ssl_config_init(&config);
}

TlsEngine::Session::~Session() {
  mbedtls_ssl_free(&ssl);
  mbedtls_ssl_config_free(&config);
  mbedtls_platform_zeroize(plaintext.data(), plaintext.size());
}

int TlsEngine::Session::set_up() {
  int code = mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  if (code != 0) return code;
  tls_require_1_2(&config);
  mbedtls_ssl_conf_ciphersuites(&config, kCipherSuites);
  mbedtls_ssl_conf_rng(&config, tls_random, nullptr);
  mbedtls_ssl_conf_authmode(
      &config, must_verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_OPTIONAL);
  mbedtls_ssl_conf_ca_chain(&config, credentials->ca(), credentials->crl());
  mbedtls_ssl_conf_verify(&config, verify, this);
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
  mbedtls_ssl_conf_session_tickets(&config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
  mbedtls_ssl_conf_renegotiation(&config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
  if (credentials->has_certificate()) {
    code = mbedtls_ssl_conf_own_cert(&config, credentials->certificate(), credentials->key());
    if (code != 0) return code;
  }
  code = mbedtls_ssl_setup(&ssl, &config);
  if (code != 0) return code;
  mbedtls_ssl_set_bio(&ssl, this, send, receive, nullptr);
  // Without this call 2.28 checks no name; with null it is for verify() to check the address.
  return mbedtls_ssl_set_hostname(&ssl, verdict.host().dns_name());
}

int TlsEngine::Session::send(void* self, const unsigned char* data, std::size_t size) {
  base::append(static_cast<Session*>(self)->output, {data, size});
  return static_cast<int>(size);
}

int TlsEngine::Session::receive(void* self, unsigned char* to, std::size_t size) {
  auto& session = *static_cast<Session*>(self);
  const std::size_t left = session.input.size() - session.input_used;
  if (left == 0) return session.input_ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
  const std::size_t n = std::min(size, left);
  std::copy_n(session.input.data() + session.input_used, n, to);
  session.input_used += n;
  if (session.input_used == session.input.size()) {
    session.input.clear();
    session.input_used = 0;
  }
  return static_cast<int>(n);
}

int TlsEngine::Session::verify(void* self, mbedtls_x509_crt* certificate, int depth,
                               std::uint32_t* flags) {
  static_cast<Session*>(self)->verdict.judge(*certificate, depth, *flags);
  return 0;
}

void TlsEngine::Session::step() {
  if (state == State::handshaking) shake_hands();
  if (state == State::confirming) await_confirmation();
}

void TlsEngine::Session::shake_hands() {
  int code = mbedtls_ssl_handshake(&ssl);
  while (tls_goes_on(code)) code = mbedtls_ssl_handshake(&ssl);
  if (code == MBEDTLS_ERR_SSL_WANT_READ) return;
  credentials->forget_key();
  if (verdict.complete()) verdict.conclude(mbedtls_ssl_get_verify_result(&ssl));
  if (code != 0 && must_verify && !verdict.failures().empty()) {
    fail(Reason::Kind::refused, verdict.text());
  } else if (code != 0) {
    fail(code);
  } else if (check_certificates()) {
    state = State::confirming;
  }
}

// The handshake has failed already if a check has. This holds against the ways in which it could
// have come through without any.
bool TlsEngine::Session::check_certificates() {
  if (!verdict.complete()) {
    fail(Reason::Kind::refused, "the server showed no certificate");
    return false;
  }
  const bool good = verdict.failures().empty() && mbedtls_ssl_get_verify_result(&ssl) == 0;
  if (good) return true;
  if (must_verify) {
    fail(Reason::Kind::refused, verdict.text());
    return false;
  }
  if (notes) notes(verdict.text() + "; accepted all the same, since it is not to be verified");
  return true;
}

void TlsEngine::Session::await_confirmation() {
  std::uint8_t byte = 0;
  const int code = take(&byte, 1);
  if (code == MBEDTLS_ERR_SSL_WANT_READ || state != State::confirming) return;
  if (code < 0) return fail(code);
  if (byte == kConfirmed) {
    state = State::open;
    return;
  }
  fail(Reason::Kind::refused, "the server refused us: it sent byte " + std::to_string(byte) +
                                  " in place of 1; " + credentials->shown());
}

// Like mbedtls_ssl_read(); the state is `failed` if the server made us answer too often.
int TlsEngine::Session::take(std::uint8_t* to, std::size_t size) {
  const std::size_t before = output.size();
  int code = mbedtls_ssl_read(&ssl, to, size);
  while (tls_goes_on(code)) code = mbedtls_ssl_read(&ssl, to, size);
  // Some versions say so when the connection ends without the server's notice.
  if (code == 0) code = MBEDTLS_ERR_SSL_CONN_EOF;
  unasked += output.size() - before;
  if (unasked > kUnaskedLimit) {
    fail(Reason::Kind::protocol, "the server keeps asking for a new handshake");
  }
  return code;
}

void TlsEngine::Session::fail(Reason::Kind kind, std::string text) {
  const Stage stage = state == State::handshaking  ? Stage::handshake
                      : state == State::confirming ? Stage::authentication
                                                   : Stage::established;
  state = State::failed;
  failure = {kind, stage, std::move(text)};
}

void TlsEngine::Session::fail(int code) {
  const TlsSituation situation{state == State::handshaking,    heard,
                               state == State::confirming,     tls_received_alert(ssl),
                               credentials->has_certificate(), credentials->shown()};
  Reason reason = tls_failure(code, situation);
  fail(reason.kind, std::move(reason.text));
}

TlsEngine::TlsEngine(const TlsPeer& peer, std::unique_ptr<TlsCredentials> credentials, Notes notes)
    : session_(std::make_unique<Session>(peer, std::move(credentials), std::move(notes))) {}

TlsEngine::~TlsEngine() = default;

TlsEngine::State TlsEngine::state() const { return session_->state; }

const Reason& TlsEngine::failure() const { return session_->failure; }

base::Buffer& TlsEngine::output() { return session_->output; }

void TlsEngine::start() {
  if (const int code = session_->set_up(); code != 0) {
    session_->fail(Reason::Kind::system, "TLS cannot be set up (" + tls_error_text(code) + ")");
    return;
  }
  session_->step();
}

void TlsEngine::receive(base::Bytes data) {
  if (state() == State::failed || state() == State::ended || session_->input_ended) return;
  base::append(session_->input, data);
  session_->heard = session_->heard || !data.empty();
  session_->step();
}

void TlsEngine::receive_end() {
  session_->input_ended = true;
  session_->step();
}

base::Bytes TlsEngine::read() {
  if (state() != State::open) return {};
  const int code = session_->take(session_->plaintext.data(), session_->plaintext.size());
  if (code == MBEDTLS_ERR_SSL_WANT_READ || state() != State::open) return {};
  if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
    session_->state = State::ended;
    return {};
  }
  if (code < 0) {
    session_->fail(code);
    return {};
  }
  return {session_->plaintext.data(), static_cast<std::size_t>(code)};
}

void TlsEngine::write(base::Bytes data) {
  if (state() == State::failed) return;
  CHECK(state() == State::open || state() == State::ended);
  while (!data.empty()) {
    const int code = mbedtls_ssl_write(&session_->ssl, data.data(), data.size());
    if (code <= 0) return session_->fail(code);
    data = data.subspan(static_cast<std::size_t>(code));
  }
}

void TlsEngine::end() {
  if (state() == State::failed) return;
  CHECK(state() == State::open || state() == State::ended);
  if (const int code = mbedtls_ssl_close_notify(&session_->ssl); code != 0) session_->fail(code);
}

}  // namespace tunnel
