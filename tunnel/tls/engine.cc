#include "tunnel/tls/engine.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/types.h>

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

// AES first: with AES-NI it is the fastest of them.
constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA"
    ":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD"
    ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"
    ":-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%PROFILE_MEDIUM";

constexpr unsigned kFlags = GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
                            GNUTLS_FORCE_CLIENT_CERT;

// What a server may make us send by asking, such as refusals of a renegotiation, before it is taken
// for an attack.
constexpr std::size_t kUnaskedLimit = std::size_t{16} * 1024;

// Less than those that GnuTLS ends a handshake for, by an error that says nothing of them.
constexpr unsigned kMostWarnings = 8;

constexpr std::uint8_t kConfirmed = 1;

int log_no_keys(gnutls_session_t, const char*, const gnutls_datum_t*) { return 0; }

}  // namespace

struct TlsEngine::Session {
  Session(const TlsPeer& peer, std::unique_ptr<TlsCredentials> with, Notes to);

  int set_up();
  void step();
  void shake_hands();
  void await_confirmation();
  bool goes_on(ssize_t code);
  ssize_t fetch();
  bool check_certificates();
  void fail(Reason::Kind kind, std::string text);
  void fail(ssize_t code);

  static ssize_t send(gnutls_transport_ptr_t self, const void* data, std::size_t size);
  static ssize_t receive(gnutls_transport_ptr_t self, void* to, std::size_t size);
  static int wait(gnutls_transport_ptr_t self, unsigned milliseconds);
  static int verify(gnutls_session_t session);

  bool must_verify;
  std::unique_ptr<TlsCredentials> credentials;
  TlsVerdict verdict;
  Notes notes;
  TlsSession tls;  // uses the credentials
  State state = State::handshaking;
  Reason failure;
  base::Buffer input;
  std::size_t input_used = 0;
  bool input_ended = false;
  bool lacks_input = false;  // GnuTLS has asked for more than there is
  bool heard = false;
  base::Buffer output;
  std::size_t unasked = 0;
  unsigned warnings = 0;
  TlsPacket packet;
  base::Bytes record;  // what was not yet read of the packet
};

TlsEngine::Session::Session(const TlsPeer& peer, std::unique_ptr<TlsCredentials> with, Notes to)
    : must_verify(peer.verify),
      credentials(std::move(with)),
      verdict(tls_host(peer.host), *credentials),
      notes(std::move(to)) {}

int TlsEngine::Session::set_up() {
  gnutls_session_t made = nullptr;
  int code = gnutls_init(&made, kFlags);
  if (code < 0) return code;
  tls.reset(made);
  code = gnutls_priority_set_direct(made, kPriority, nullptr);
  if (code < 0) return code;
  gnutls_certificate_set_verify_function(credentials->settings(), verify);
  code = gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, credentials->settings());
  if (code < 0) return code;
  // Not to the file that SSLKEYLOGFILE names.
  gnutls_session_set_keylog_function(made, log_no_keys);
  gnutls_session_set_ptr(made, this);
  gnutls_transport_set_ptr(made, this);
  gnutls_transport_set_push_function(made, send);
  gnutls_transport_set_pull_function(made, receive);
  gnutls_transport_set_pull_timeout_function(made, wait);
  const char* name = verdict.host().dns_name();
  return name == nullptr ? GNUTLS_E_SUCCESS
                         : gnutls_server_name_set(made, GNUTLS_NAME_DNS, name, std::strlen(name));
}

ssize_t TlsEngine::Session::send(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
  base::append(static_cast<Session*>(self)->output, {static_cast<const std::uint8_t*>(data), size});
  return static_cast<ssize_t>(size);
}

ssize_t TlsEngine::Session::receive(gnutls_transport_ptr_t self, void* to, std::size_t size) {
  auto& session = *static_cast<Session*>(self);
  const std::size_t left = session.input.size() - session.input_used;
  if (left == 0) {
    session.lacks_input = true;
    if (session.input_ended) return 0;
    gnutls_transport_set_errno(session.tls.get(), EAGAIN);
    return -1;
  }
  const std::size_t n = std::min(size, left);
  std::memcpy(to, session.input.data() + session.input_used, n);
  session.input_used += n;
  if (session.input_used == session.input.size()) {
    session.input.clear();
    session.input_used = 0;
  }
  return static_cast<ssize_t>(n);
}

// Nobody waits for anything here: receive() says whether there is something.
int TlsEngine::Session::wait(gnutls_transport_ptr_t, unsigned) { return 1; }

// 0: the handshake may go on.
int TlsEngine::Session::verify(gnutls_session_t session) {
  auto& self = *static_cast<Session*>(gnutls_session_get_ptr(session));
  unsigned size = 0;
  const gnutls_datum_t* list = gnutls_certificate_get_peers(session, &size);
  TlsChain chain;
  for (unsigned i = 0; list != nullptr && i < size; ++i) {
    chain.push_back(tls_make<TlsCertificate>(gnutls_x509_crt_init));
    if (chain.back() == nullptr) return GNUTLS_E_MEMORY_ERROR;
    const int code = gnutls_x509_crt_import(chain.back().get(), &list[i], GNUTLS_X509_FMT_DER);
    if (code < 0) return code;
  }
  self.verdict.judge(chain);
  const bool good = self.verdict.complete() && self.verdict.failures().empty();
  return good || !self.must_verify ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

void TlsEngine::Session::step() {
  if (state == State::handshaking) shake_hands();
  if (state == State::confirming) await_confirmation();
}

// GnuTLS says "again" not only when it lacks input, but behind much that is no data too, such as
// tickets.
bool TlsEngine::Session::goes_on(ssize_t code) {
  return code < 0 && gnutls_error_is_fatal(static_cast<int>(code)) == 0 && !lacks_input;
}

void TlsEngine::Session::shake_hands() {
  int code = 0;
  do {
    lacks_input = false;
    code = gnutls_handshake(tls.get());
    if (code == GNUTLS_E_WARNING_ALERT_RECEIVED) ++warnings;
  } while (goes_on(code) && warnings <= kMostWarnings);
  const bool flooded = warnings > kMostWarnings;
  if (!flooded && code < 0 && gnutls_error_is_fatal(code) == 0) return;
  credentials->forget_key();
  if (flooded) {
    fail(Reason::Kind::protocol, "the server sends warnings in place of a handshake");
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
  if (verdict.failures().empty()) return true;
  if (must_verify) {
    fail(Reason::Kind::refused, verdict.text());
    return false;
  }
  if (notes) notes(verdict.text() + "; accepted all the same, since it is not to be verified");
  return true;
}

void TlsEngine::Session::await_confirmation() {
  const ssize_t code = record.empty() ? fetch() : 1;
  if (code == GNUTLS_E_AGAIN || state != State::confirming) return;
  if (code <= 0) return fail(code);
  const std::uint8_t byte = record.front();
  record = record.subspan(1);
  if (byte == kConfirmed) {
    state = State::open;
    return;
  }
  fail(Reason::Kind::refused, "the server refused us: it sent byte " + std::to_string(byte) +
                                  " in place of 1; " + credentials->shown());
}

// Has the next record of data decrypted, and is like gnutls_record_recv() in what it returns. The
// state is `failed` if the server made us answer too often.
ssize_t TlsEngine::Session::fetch() {
  packet.reset();
  record = {};
  ssize_t code = 0;
  do {
    lacks_input = false;
    const std::size_t before = output.size();
    gnutls_packet_t got = nullptr;
    code = gnutls_record_recv_packet(tls.get(), &got);
    packet.reset(got);
    if (code == GNUTLS_E_REHANDSHAKE) {
      gnutls_alert_send(tls.get(), GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
    }
    unasked += output.size() - before;
    if (unasked > kUnaskedLimit) {
      fail(Reason::Kind::protocol, "the server keeps asking for a new handshake");
      return code;
    }
  } while (goes_on(code));
  if (code < 0 && gnutls_error_is_fatal(static_cast<int>(code)) == 0) return GNUTLS_E_AGAIN;
  if (code > 0) {
    gnutls_datum_t data{};
    gnutls_packet_get(packet.get(), &data, nullptr);
    record = {data.data, data.size};
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

// `code` is an error of GnuTLS, or 0 for the server's close_notify.
void TlsEngine::Session::fail(ssize_t code) {
  int error = code == 0 ? GNUTLS_E_SESSION_EOF : static_cast<int>(code);
  // Within a record GnuTLS calls it a wrong length.
  if (input_ended && lacks_input) error = GNUTLS_E_PREMATURE_TERMINATION;
  if (tls_is_our_finding(error)) gnutls_alert_send_appropriate(tls.get(), error);
  if (error == GNUTLS_E_CERTIFICATE_ERROR && !verdict.failures().empty()) {
    return fail(Reason::Kind::refused, verdict.text());
  }
  const TlsSituation situation{
      state == State::handshaking,    heard,
      state == State::confirming,     static_cast<std::uint8_t>(gnutls_alert_get(tls.get())),
      credentials->has_certificate(), credentials->shown()};
  Reason reason = tls_failure(error, situation);
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
    const auto kind =
        code == GNUTLS_E_MEMORY_ERROR ? Reason::Kind::exhausted : Reason::Kind::system;
    session_->fail(kind, "TLS cannot be set up (" + tls_error_text(code) + ")");
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
  if (session_->record.empty()) {
    const ssize_t code = session_->fetch();
    if (code == GNUTLS_E_AGAIN || state() != State::open) return {};
    if (code == 0) session_->state = State::ended;
    if (code < 0) session_->fail(code);
  }
  return std::exchange(session_->record, {});
}

void TlsEngine::write(base::Bytes data) {
  if (state() == State::failed) return;
  CHECK(state() == State::open || state() == State::ended);
  session_->lacks_input = false;
  while (!data.empty()) {
    const ssize_t code = gnutls_record_send(session_->tls.get(), data.data(), data.size());
    if (code <= 0) return session_->fail(code);
    data = data.subspan(static_cast<std::size_t>(code));
  }
}

void TlsEngine::end() {
  if (state() == State::failed) return;
  CHECK(state() == State::open || state() == State::ended);
  session_->lacks_input = false;
  const int code = gnutls_bye(session_->tls.get(), GNUTLS_SHUT_WR);
  if (code != GNUTLS_E_SUCCESS) session_->fail(code);
}

}  // namespace tunnel
