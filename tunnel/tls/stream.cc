#include "tunnel/tls/stream.h"

#include <utility>

#include "base/fd.h"
#include "tunnel/tls/credentials.h"
#include "tunnel/tls/own_files.h"

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

void TlsStream::open(io::StreamOwner& owner) {
  state_.open(owner);
  if (state_.closing()) return turn_.start(Milliseconds(0));
  const Target& target = context_.target;
  if (target.no_verify && !target.insecure) {
    return close({Reason::Kind::refused, Stage::handshake, refused_unless_insecure("no_verify=1")});
  }
  read_files();
}

void TlsStream::read_files() {
  deadline_.start(context_.target.timeouts.handshake);
  const auto files = std::make_shared<std::optional<TlsFiles>>();
  auto reading = context_.errand(
      [files, pkipath = context_.target.pkipath,
       places = context_.places](io::Whereabouts& whereabouts) {
        const TlsPaths paths = tls_paths_now(pkipath, places, whereabouts);
        *files = tls_read_files(paths, places.uid, whereabouts);
      },
      [this, files](int error) { files_read(error, std::move(*files)); });
  // Closed already when they were read at once and were not good.
  if (!state_.closing() && engine_ == nullptr) reading_ = std::move(reading);
}

void TlsStream::files_read(int error, std::optional<TlsFiles> files) {
  reading_.reset();
  deadline_.stop();
  if (!files) {
    return close(
        {Reason::Kind::exhausted, Stage::handshake,
         std::string(kOwnFilesFail) + "no thread to read them in: " + base::system_words(error)});
  }
  if (!prepare(std::move(*files))) return;
  below_state_ = Below::opened;
  below_->open(*this);
}

bool TlsStream::prepare(TlsFiles files) {
  const Target& target = context_.target;
  auto credentials = TlsCredentials::understand(std::move(files));
  if (!credentials) {
    close(credentials.error());
    return false;
  }
  const auto note = [&context = context_](const std::string& text) {
    if (context.notes) context.notes(context.target.name + ": " + text);
  };
  if (!(*credentials)->note().empty()) note((*credentials)->note());
  engine_ = std::make_unique<TlsEngine>(TlsPeer{target.host, !target.no_verify},
                                        std::move(credentials).value(), note);
  return true;
}

void TlsStream::on_stage(Stage stage) {
  if (state_.closing() || stage == Stage::established) return;
  stage_ = stage;
  state_.owner().on_stage(stage);
}

void TlsStream::on_open() {
  if (state_.closing()) return;
  enter(Stage::handshake, context_.target.timeouts.handshake);
  if (state_.closing()) return;
  engine_->start();
  advance();
}

void TlsStream::enter(Stage stage, Milliseconds limit) {
  stage_ = stage;
  deadline_.start(limit);
  state_.owner().on_stage(stage);
}

void TlsStream::on_data(base::Bytes data) {
  if (state_.closing()) return;
  if (stage_ != Stage::established) {
    before_open_ += data.size();
    if (before_open_ > kMostBeforeOpen) {
      return close({Reason::Kind::protocol, stage_,
                    "the server sent more than " + std::to_string(kMostBeforeOpen) +
                        " bytes before the connection was open"});
    }
  }
  engine_->receive(data);
  advance();
}

void TlsStream::on_end() {
  if (state_.closing()) return;
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
    if (stage_ == Stage::authentication && state != TlsEngine::State::confirming &&
        !state_.closing()) {
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
  if (state_.paused() && below_state_ == Below::opened) below_->pause(kOwnerPaused);
  state_.owner().on_stage(stage_);
  if (!state_.closing()) state_.owner().on_open();
  if (!state_.closing()) state_.sent(queued());
}

void TlsStream::deliver() {
  using State = TlsEngine::State;
  while (!state_.closing() && !state_.paused() && stage_ == Stage::established) {
    const base::Bytes data = engine_->read();
    send();
    if (data.empty()) break;
    state_.owner().on_data(data);
  }
  if (state_.closing()) return;
  const State state = engine_->state();
  if (state == State::failed) return close(engine_->failure());
  if (state != State::ended) return;
  if (!end_told_) {
    end_told_ = true;
    state_.owner().on_end();
  }
  if (below_state_ == Below::closed && !state_.closing()) {
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
  if (state_.closing() || ending_) return;
  if (stage_ == Stage::established) {
    engine_->write(data);
    send();
    if (engine_->state() == TlsEngine::State::failed) return close(engine_->failure());
  } else {
    base::append(pending_, data);
  }
  state_.wrote(queued());
}

std::size_t TlsStream::queued() const {
  return pending_.size() + (below_state_ == Below::opened ? below_->queued() : 0);
}

void TlsStream::end() {
  if (state_.closing() || ending_) return;
  ending_ = true;
  if (stage_ == Stage::established) send_end();
}

void TlsStream::pause(unsigned reasons) {
  state_.pause(reasons);
  // Until the stream is open, what comes is the handshake's.
  const bool reading = stage_ == Stage::established && below_state_ == Below::opened;
  if (state_.paused() && reading) below_->pause(kOwnerPaused);
}

void TlsStream::resume(unsigned reasons) {
  const bool was_paused = state_.paused();
  state_.resume(reasons);
  if (state_.paused() || !was_paused || stage_ != Stage::established || state_.closing()) return;
  if (below_state_ == Below::opened) below_->resume(kOwnerPaused);
  // There may be data here that the stream below has given away already.
  turn_.start(Milliseconds(0));
}

void TlsStream::on_drain() {
  if (!state_.closing()) state_.sent(queued());
}

void TlsStream::close(Reason reason) {
  if (!state_.close(std::move(reason))) return;
  deadline_.stop();
  reading_.reset();
  if (!state_.has_owner()) return;
  const bool may_say_so = engine_ != nullptr && below_state_ == Below::opened;
  if (may_say_so && stage_ == Stage::established && !ending_) engine_->end();
  if (may_say_so) send();
  // The turn is what gives the stream below the time to send the alert.
  turn_.start(Milliseconds(0));
}

void TlsStream::turn() {
  if (!state_.closing()) return deliver();
  if (below_state_ == Below::opened) {
    below_->close(state_.reason());
  } else {
    finish();
  }
}

void TlsStream::late() {
  if (reading_ != nullptr) {
    return close({Reason::Kind::timeout, Stage::handshake,
                  std::string(kOwnFilesFail) + reading_->late(context_.target.timeouts.handshake)});
  }
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
  if (state_.closing()) return finish();
  if (reason.kind == Reason::Kind::end && engine_ != nullptr && stage_ >= Stage::handshake) {
    engine_->receive_end();
    advance();
    return;
  }
  Reason told = reason;
  if (told.stage == Stage::established) told.stage = stage_;
  if (told.stage == Stage::authentication) {
    told.text += ", before the server had accepted our certificate";
  }
  state_.close(std::move(told));
  finish();
}

void TlsStream::finish() {
  deadline_.stop();
  turn_.stop();
  state_.finish();
}

}  // namespace tunnel
