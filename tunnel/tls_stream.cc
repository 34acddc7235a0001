#include "tunnel/tls_stream.h"

#include <utility>

#include "base/check.h"
#include "tunnel/tls_credentials.h"

namespace tunnel {
namespace {

using io::Milliseconds;
using io::Reason;
using io::Stage;

constexpr unsigned kOwnerPaused = 1;

}  // namespace

TlsStream::TlsStream(const TlsContext& context, std::unique_ptr<io::Stream> below)
    : context_(context),
      below_(std::move(below)),
      deadline_(context.clock, [this] { late(); }),
      turn_(context.clock, [this] { turn(); }) {}

TlsStream::~TlsStream() { CHECK(owner_ == nullptr); }

void TlsStream::open(io::StreamOwner& owner) {
  CHECK(owner_ == nullptr && below_state_ == Below::idle);
  owner_ = &owner;
  if (closing_ || !prepare()) {
    turn_.start(Milliseconds(0));
    return;
  }
  below_state_ = Below::opened;
  below_->open(*this);
}

bool TlsStream::prepare() {
  const Target& target = context_.target;
  if (target.no_verify && !target.insecure) {
    close({Reason::Kind::refused, Stage::handshake,
           "no_verify=1 is refused, since the configuration does not say insecure = true of this "
           "target"});
    return false;
  }
  const TlsPaths paths = tls_paths(target.pkipath, context_.places, tls_file_exists);
  auto credentials = TlsCredentials::read(paths, context_.places.uid);
  if (!credentials) {
    close(credentials.error());
    return false;
  }
  const auto note = [&context = context_](const std::string& text) {
    if (context.notes) context.notes(context.target.name + ": " + text);
  };
  engine_ = std::make_unique<TlsEngine>(TlsPeer{target.host, !target.no_verify},
                                        std::move(credentials).value(), note);
  return true;
}

void TlsStream::on_stage(Stage stage) {
  if (closing_ || stage == Stage::established) return;
  stage_ = stage;
  owner_->on_stage(stage);
}

void TlsStream::on_open() {
  if (closing_) return;
  enter(Stage::handshake, context_.target.timeouts.handshake);
  if (closing_) return;
  engine_->start();
  advance();
}

void TlsStream::enter(Stage stage, Milliseconds limit) {
  stage_ = stage;
  deadline_.start(limit);
  owner_->on_stage(stage);
}

void TlsStream::on_data(base::Bytes data) {
  if (closing_) return;
  engine_->receive(data);
  advance();
}

void TlsStream::on_end() {
  if (closing_) return;
  engine_->receive_end();
  advance();
}

void TlsStream::advance() {
  send();
  const TlsEngine::State state = engine_->state();
  if (state != TlsEngine::State::handshaking && state != TlsEngine::State::failed) {
    if (stage_ == Stage::handshake) {
      enter(Stage::authentication, context_.target.timeouts.authentication);
    }
    if (stage_ == Stage::authentication && state != TlsEngine::State::confirming && !closing_) {
      become_open();
    }
  }
  deliver();
}

void TlsStream::become_open() {
  deadline_.stop();
  stage_ = Stage::established;
  if (!pending_.empty()) {
    engine_->write(pending_);
    base::Buffer().swap(pending_);
  }
  if (ending_) send_end();
  send();
  if (paused_ != 0 && below_state_ == Below::opened) below_->pause(kOwnerPaused);
  owner_->on_stage(stage_);
  if (!closing_) owner_->on_open();
  if (!closing_) check_drained();
}

void TlsStream::deliver() {
  using State = TlsEngine::State;
  while (!closing_ && paused_ == 0 && stage_ == Stage::established) {
    const base::Bytes data = engine_->read();
    send();
    if (data.empty()) break;
    owner_->on_data(data);
  }
  if (closing_) return;
  const State state = engine_->state();
  if (state == State::failed) return close(engine_->failure());
  if (state != State::ended) return;
  if (!end_told_) {
    end_told_ = true;
    owner_->on_end();
  }
  if (below_state_ == Below::closed && !closing_) {
    close({Reason::Kind::end, Stage::established, "the server ended the connection"});
  }
}

void TlsStream::send() {
  base::Buffer& output = engine_->output();
  if (!output.empty() && below_state_ == Below::opened) below_->write(output);
  output.clear();
}

void TlsStream::send_end() {
  engine_->end();
  send();
  if (below_state_ == Below::opened) below_->end();
}

void TlsStream::write(base::Bytes data) {
  if (closing_ || ending_) return;
  if (stage_ == Stage::established) {
    engine_->write(data);
    send();
    if (engine_->state() == TlsEngine::State::failed) return close(engine_->failure());
  } else {
    base::append(pending_, data);
  }
  if (queued() > kHighMark) was_high_ = true;
}

std::size_t TlsStream::queued() const {
  return pending_.size() + (below_state_ == Below::opened ? below_->queued() : 0);
}

void TlsStream::end() {
  if (closing_ || ending_) return;
  ending_ = true;
  if (stage_ == Stage::established) send_end();
}

void TlsStream::pause(unsigned reasons) {
  paused_ |= reasons;
  // Until the stream is open, what comes is the handshake's.
  const bool reading = stage_ == Stage::established && below_state_ == Below::opened;
  if (paused_ != 0 && reading) below_->pause(kOwnerPaused);
}

void TlsStream::resume(unsigned reasons) {
  const bool was_paused = paused_ != 0;
  paused_ &= ~reasons;
  if (paused_ != 0 || !was_paused || stage_ != Stage::established || closing_) return;
  if (below_state_ == Below::opened) below_->resume(kOwnerPaused);
  // There may be data here that the stream below has given away already.
  turn_.start(Milliseconds(0));
}

void TlsStream::on_drain() {
  if (!closing_) check_drained();
}

void TlsStream::check_drained() {
  if (!was_high_ || queued() > kLowMark) return;
  was_high_ = false;
  owner_->on_drain();
}

void TlsStream::close(Reason reason) {
  if (closing_) return;
  closing_ = true;
  reason_ = std::move(reason);
  deadline_.stop();
  if (owner_ == nullptr) return;
  const bool may_say_so = engine_ != nullptr && below_state_ == Below::opened;
  if (may_say_so && stage_ == Stage::established && !ending_) engine_->end();
  if (may_say_so) send();
  // The turn is what gives the stream below the time to send the alert.
  turn_.start(Milliseconds(0));
}

void TlsStream::turn() {
  if (!closing_) return deliver();
  if (below_state_ == Below::opened) {
    below_->close(reason_);
  } else {
    finish();
  }
}

void TlsStream::late() {
  const bool confirming = stage_ == Stage::authentication;
  const auto limit =
      confirming ? context_.target.timeouts.authentication : context_.target.timeouts.handshake;
  const std::string time = std::to_string(limit.count()) + " ms";
  close({Reason::Kind::timeout, stage_,
         confirming
             ? "the server did not say within " + time + " whether it accepts our certificate"
             : "the handshake of TLS was not done within " + time});
}

void TlsStream::on_closed(const Reason& reason) {
  below_state_ = Below::closed;
  if (closing_) return finish();
  if (reason.kind == Reason::Kind::end && engine_ != nullptr && stage_ >= Stage::handshake) {
    engine_->receive_end();
    advance();
    return;
  }
  closing_ = true;
  reason_ = reason;
  if (reason_.stage == Stage::established) reason_.stage = stage_;
  if (reason_.stage == Stage::authentication) {
    reason_.text += ", before the server had accepted our certificate";
  }
  finish();
}

void TlsStream::finish() {
  deadline_.stop();
  turn_.stop();
  io::StreamOwner* owner = std::exchange(owner_, nullptr);
  const Reason reason = reason_;
  owner->on_closed(reason);
}

}  // namespace tunnel
