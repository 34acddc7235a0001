#include "proxy/upstream/upstream.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/check.h"
#include "policy/libvirt.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Frame;
using policy::Header;
using policy::number;
using policy::Remote;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

constexpr Milliseconds kGoodbye{2000};
// The reasons for which the stream is paused.
constexpr unsigned kTurn = 1;
constexpr unsigned kLogin = 2;

ErrorCode code_of(Reason::Kind kind, Stage stage) {
  if (kind == Reason::Kind::refused && stage == Stage::authentication)
    return ErrorCode::auth_failed;
  if (kind == Reason::Kind::protocol) return ErrorCode::rpc;
  return ErrorCode::system_error;
}

policy::FrameReader::Place places_in(Slabs* slabs) {
  if (slabs == nullptr) return nullptr;
  return [slabs](std::size_t size) { return slabs->take(size); };
}

}  // namespace

UpstreamSettings upstream_settings(const conf::TargetConfig& target) {
  UpstreamSettings settings;
  settings.connect_name = target.connect_name;
  settings.authentication = authentication_settings(target);
  settings.open_timeout = target.open_timeout;
  settings.keepalive_interval = target.keepalive_interval;
  settings.keepalive_count = target.keepalive_count;
  return settings;
}

Upstream::Upstream(tunnel::io::Clock& clock, Sasl& sasl, UpstreamOwner& owner,
                   std::unique_ptr<tunnel::io::Stream> stream, UpstreamSettings settings)
    : clock_(clock),
      owner_(owner),
      stream_(std::move(stream)),
      settings_(std::move(settings)),
      authentication_(sasl, settings_.authentication,
                      [this](const Authentication::Next& next) { go_on(next); }),
      reader_(settings_.max_message, places_in(settings_.slabs)),
      deadline_(clock, [this] { late(); }),
      keepalive_(clock, [this] { keep_alive(); }),
      turn_(clock, [this] { next_turn(); }) {}

void Upstream::start() { stream_->open(*this); }

void Upstream::on_stage(Stage stage) {
  if (stage != Stage::established) enter(stage);
}

void Upstream::enter(Stage stage) {
  stage_ = stage;
  owner_.on_upstream_stage(*this, stage);
}

void Upstream::on_open() {
  if (state_ != State::tunnel) return;
  state_ = State::authenticating;
  enter(Stage::authentication);
  last_heard_ = clock_.now();
  deadline_.start(settings_.open_timeout);
  advance(authentication_.begin());
}

std::span<std::uint8_t> Upstream::room() {
  if (layer_ != nullptr || holds_back()) return {};
  return reader_.room();
}

void Upstream::on_data(base::Bytes data) {
  if (settings_.traffic != nullptr) settings_.traffic->in += data.size();
  last_heard_ = clock_.now();
  pings_unanswered_ = 0;
  if (state_ < State::ready) {
    bytes_ += data.size();
    if (bytes_ > kMostBeforeReady) {
      return fail(Reason::Kind::protocol, "the daemon sent more than " +
                                              std::to_string(kMostBeforeReady) +
                                              " bytes before the connection was open");
    }
  }
  take(data);
}

void Upstream::take(base::Bytes data) {
  if (layer_ == nullptr) data = read(data);
  if (layer_ != nullptr) read_layer(data);
}

// What is left is behind the frame with which a security layer began.
base::Bytes Upstream::read(base::Bytes data) {
  const bool plain = layer_ == nullptr;
  if (holds_back()) {
    base::append(backlog_, data);
    return {};
  }
  reader_.feed(data);
  while (state_ != State::closing && !turn_is_over() && !holds_back()) {
    if (incoming_) {
      work_on(nullptr);
      continue;
    }
    const std::optional<Frame> frame = reader_.next();
    if (!frame) break;
    ++messages_;
    bytes_ += frame->header.length;
    work_on(&*frame);
    if (plain && layer_ != nullptr) return reader_.take_rest();
  }
  if (state_ == State::closing) {
    while (reader_.next()) {
    }
  }
  // A long answer may take its time; pings have no more than a header.
  if (reader_.held() > policy::kHeaderSize) answered();
  if (holds_back()) base::append(backlog_, reader_.take_rest());
  if (reader_.broken()) {
    fail(Reason::Kind::protocol, "the daemon " + reader_.breach());
  }
  return {};
}

void Upstream::answered() {
  last_answered_ = clock_.now();
  if (silence_.elsewhere_since) load_.revived = in_flight_.size();
  silence_ = {};
}

// On a frame, or on the reply of which a part has been decoded.
void Upstream::work_on(const Frame* frame) {
  const tunnel::io::Microseconds began = clock_.worked();
  if (frame != nullptr) {
    on_frame(*frame);
  } else {
    decode_on();
  }
  took_ += clock_.worked() - began;
}

// What comes before it is ready is bounded in all.
bool Upstream::turn_is_over() {
  if (state_ != State::ready) return false;
  if (std::exchange(turn_began_, clock_.now()) != clock_.now()) begin_turn();
  if (messages_ < kMessagesOfTurn && bytes_ < kBytesOfTurn && took_ < kTimeOfTurn) return false;
  stream_->pause(kTurn);
  turn_.start(Milliseconds(0));
  return true;
}

void Upstream::begin_turn() {
  messages_ = bytes_ = 0;
  took_ = {};
}

void Upstream::next_turn() {
  begin_turn();
  const base::Buffer backlog = std::exchange(backlog_, {});
  read(backlog);
  if (!turn_.running() && state_ != State::closing) stream_->resume(kTurn);
}

void Upstream::read_layer(base::Bytes data) {
  while (!data.empty() && state_ != State::closing) {
    const base::Bytes piece = data.first(std::min(data.size(), SaslClient::kMostDecoded));
    data = data.subspan(piece.size());
    const auto plain = layer_->decode(piece);
    if (!plain) {
      return fail(Reason::Kind::protocol,
                  "the daemon broke the security layer of SASL: " + plain.error());
    }
    if (!plain.value().empty()) read(plain.value());
  }
}

void Upstream::on_frame(const Frame& frame) {
  const Header& header = frame.header;
  if (header.is(policy::Type::message)) return on_message(frame);
  if (!header.is(policy::Type::reply) || header.program != policy::kRemoteProgram ||
      header.version != policy::kProgramVersion) {
    return fail(Reason::Kind::protocol, "the daemon sent a message of type " +
                                            std::to_string(header.type) + " that nobody asked for");
  }
  if (!header.is(policy::Status::ok) && !header.is(policy::Status::error)) {
    return fail(Reason::Kind::protocol,
                "the daemon sent a reply with status " + std::to_string(header.status));
  }
  if (state_ == State::ready) return on_reply(frame);
  on_handshake_reply(frame);
}

void Upstream::on_message(const Frame& frame) {
  const Header& header = frame.header;
  if (header.version != policy::kProgramVersion || !header.is(policy::Status::ok)) {
    return fail(Reason::Kind::protocol, "the daemon sent an event of version " +
                                            std::to_string(header.version) + " with status " +
                                            std::to_string(header.status));
  }
  if (header.program == policy::kKeepaliveProgram) return on_keepalive(frame);
  const policy::Procedure* row = policy::find_procedure(header.program, header.procedure);
  if (row == nullptr || row->rule != policy::Rule::event) {
    return fail(Reason::Kind::protocol,
                "the daemon sent an event of unknown number " + std::to_string(header.procedure));
  }
  if (state_ != State::ready) {
    return fail(Reason::Kind::protocol, "the daemon sent an event before the connection was open");
  }
  if (frame.body.size() > kMostEvent) {
    return fail(Reason::Kind::protocol,
                "the daemon sent an event of " + std::to_string(frame.body.size()) + " bytes");
  }
  const std::string objection = policy::objection_to_reply(*row, {}, frame.body);
  if (!objection.empty()) return fail(Reason::Kind::protocol, "the daemon " + objection);
  owner_.on_upstream_event(*this, frame);
}

void Upstream::on_keepalive(const Frame& frame) {
  const std::int32_t what = frame.header.procedure;
  if (!frame.body.empty() ||
      (what != number(policy::Keepalive::ping) && what != number(policy::Keepalive::pong))) {
    return fail(Reason::Kind::protocol, "the daemon sent a malformed keepalive");
  }
  if (what == number(policy::Keepalive::pong)) {
    const auto before = std::ranges::count_if(
        in_flight_, [this](const Call& call) { return call.sent < pinged_at_; });
    took(static_cast<std::size_t>(before) + 1);
    return answered();
  }
  // Whoever asks faster than it reads would fill our memory.
  if (stream_->queued() > tunnel::io::Stream::kHighMark) {
    return fail(Reason::Kind::protocol,
                "the daemon sends keepalives and does not read the answers");
  }
  write(policy::keepalive_frame(policy::Keepalive::pong));
}

void Upstream::on_handshake_reply(const Frame& frame) {
  const Header& header = frame.header;
  if (awaited_ == 0 || header.procedure != awaited_ || header.serial != awaited_serial_) {
    return fail(Reason::Kind::protocol, "the daemon answered a call that was not made");
  }
  const std::int32_t procedure = std::exchange(awaited_, 0);
  if (header.is(policy::Status::error)) {
    if (!policy::clean_error(frame.body)) {
      return fail(Reason::Kind::protocol, "the daemon answered with a malformed error");
    }
    if (procedure != number(Remote::CONNECT_SUPPORTS_FEATURE)) return on_daemon_error(frame.body);
  }
  if (state_ == State::authenticating) return advance(authentication_.on_reply(frame.body));
  if (procedure == number(Remote::CONNECT_OPEN)) return on_opened();
  std::uint32_t supported = 0;
  daemon_pings_ = header.is(policy::Status::ok) && policy::XdrReader(frame.body).word(supported) &&
                  supported != 0;
  say_open();
}

void Upstream::on_daemon_error(base::Bytes body) {
  if (!policy::clean_error(body)) {
    return fail(Reason::Kind::protocol, "the daemon answered with a malformed error");
  }
  const policy::RemoteError said = policy::decode_error(body);
  const bool sasl = state_ == State::authenticating && authentication_.in_sasl();
  if (sasl) return advance(authentication_.on_error(said));
  fault_ = {static_cast<ErrorCode>(said.code), ErrorDomain::rpc, said.text, true};
  fail(Reason::Kind::refused, "the daemon says: " + said.text);
}

void Upstream::late() {
  const Milliseconds most = settings_.open_timeout;
  const tunnel::io::Errand* ours = authentication_.working();
  fail(Reason::Kind::timeout, ours != nullptr
                                  ? ours->late(most)
                                  : "no answer within " + std::to_string(most.count()) + " ms");
}

// After a wait. What has come behind the last answer may be for a security layer that begins now.
void Upstream::go_on(const Authentication::Next& next) {
  advance(next);
  const base::Buffer backlog = std::exchange(backlog_, {});
  if (state_ == State::closing) return;
  take(backlog);
  if (state_ != State::closing && authentication_.working() == nullptr) stream_->resume(kLogin);
}

void Upstream::advance(const Authentication::Next& next) {
  using What = Authentication::Next::What;
  switch (next.what) {
    case What::call:
      return say(next.procedure, next.body);
    case What::wait:
      return stream_->pause(kLogin);
    case What::exhausted:
      return fail(Reason::Kind::exhausted, next.text);
    case What::refused:
      return fail(Reason::Kind::refused, next.text);
    case What::malformed:
      return fail(Reason::Kind::protocol, next.text);
    case What::done:
      break;
  }
  layer_ = authentication_.take_layer();
  state_ = State::opening;
  base::Buffer feature;
  policy::XdrWriter(feature).word(policy::kFeatureKeepalive);
  say(number(Remote::CONNECT_SUPPORTS_FEATURE), feature);
}

void Upstream::on_opened() {
  state_ = State::ready;
  was_ready_ = true;
  stage_ = Stage::established;
  deadline_.stop();
  ready_since_ = last_used_ = last_answered_ = clock_.now();
  begin_turn();
  if (may_ping()) keepalive_.start(settings_.keepalive_interval);
  owner_.on_upstream_ready(*this);
}

void Upstream::say_open() {
  enter(Stage::open);
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.optional(true);
  writer.string(settings_.connect_name);
  writer.word(policy::kReadOnly);
  say(number(Remote::CONNECT_OPEN), body);
}

void Upstream::say(std::int32_t procedure, base::Bytes body) {
  Header header;
  header.procedure = procedure;
  header.serial = awaited_serial_ = next_serial_++;
  awaited_ = procedure;
  send_frame(header, body);
}

void Upstream::send_frame(Header header, base::Bytes body) {
  header.length = policy::kHeaderSize + static_cast<std::uint32_t>(body.size());
  write(policy::encode_header(header));
  if (!body.empty()) write(body);
}

void Upstream::write(base::Bytes data) {
  if (settings_.traffic != nullptr) settings_.traffic->out += data.size();
  if (layer_ == nullptr) return stream_->write(data);
  base::Buffer out;
  if (!layer_->encode(data, out)) {
    return fail(Reason::Kind::protocol, "the security layer of SASL takes no more bytes");
  }
  stream_->write(out);
}

void Upstream::send(Calls& from) {
  CHECK(has_room() && !from.empty());
  in_flight_.splice(in_flight_.end(), from, from.begin());
  Call& call = in_flight_.back();
  call.upstream_serial = next_serial_++;
  call.sent = clock_.now();
  Header header;
  header.program = call.program;
  header.procedure = call.procedure;
  header.serial = call.upstream_serial;
  send_frame(header, call.body);
  last_used_ = clock_.now();
}

void Upstream::on_reply(const Frame& frame) {
  auto call = in_flight_.begin();
  while (call != in_flight_.end() && call->upstream_serial != frame.header.serial) ++call;
  if (call == in_flight_.end() || call->procedure != frame.header.procedure) {
    return fail(Reason::Kind::protocol, "the daemon answered a call that was not made");
  }
  if (frame.header.is(policy::Status::error)) {
    const std::optional<base::Buffer> error = policy::clean_error(frame.body);
    if (!error) return fail(Reason::Kind::protocol, "the daemon answered with a malformed error");
    return hand_over(call, {frame.header, *error});
  }
  const policy::Procedure* row = policy::find_procedure(call->program, call->procedure);
  CHECK(row != nullptr);
  incoming_.emplace(call, frame, policy::ReplyDecoder(*row, call->body, frame.body));
  decode_on();
}

void Upstream::decode_on() {
  Frame& frame = incoming_->frame;
  if (!incoming_->decoder.run(kStepsAtOnce)) {
    if (frame.keeper != nullptr) return;
    // Where it is now it lives no longer than this turn.
    const auto place = std::make_shared_for_overwrite<std::uint8_t[]>(frame.body.size());
    std::ranges::copy(frame.body, place.get());
    frame.body = {place.get(), frame.body.size()};
    frame.keeper = place;
    return incoming_->decoder.move_to(frame.body);
  }
  const std::string objection = incoming_->decoder.objection();
  const Calls::iterator call = incoming_->call;
  const Frame reply = std::move(frame);
  incoming_.reset();
  if (!objection.empty()) return fail(Reason::Kind::protocol, "the daemon " + objection);
  hand_over(call, reply);
}

void Upstream::hand_over(Calls::iterator call, const Frame& reply) {
  answered();
  took(static_cast<std::size_t>(std::distance(in_flight_.begin(), call)) + 1);
  Calls taken;
  taken.splice(taken.begin(), in_flight_, call);
  last_used_ = clock_.now();
  owner_.on_upstream_reply(*this, std::move(taken), reply);
}

void Upstream::on_end() { fail(Reason::Kind::end, "the daemon closed the connection"); }

void Upstream::keep_alive() {
  const Milliseconds silent = clock_.now() - last_heard_;
  if (silent < settings_.keepalive_interval) {
    return keepalive_.start(settings_.keepalive_interval - silent);
  }
  if (pings_unanswered_ >= settings_.keepalive_count) {
    if (silence_.excused) return keepalive_.start(settings_.keepalive_interval);
    return fail(Reason::Kind::timeout, "the daemon answered no keepalive for " +
                                           std::to_string(silent.count() / 1000) + " s");
  }
  ++pings_unanswered_;
  if (!silence_.asked_since) silence_.asked_since = pinged_at_ = clock_.now();
  write(policy::keepalive_frame(policy::Keepalive::ping));
  keepalive_.start(settings_.keepalive_interval);
}

void Upstream::ping() {
  if (!established() || !may_ping() || silence_.asked_since) return;
  silence_.asked_since = pinged_at_ = clock_.now();
  write(policy::keepalive_frame(policy::Keepalive::ping));
}

void Upstream::finish() {
  finishing_ = true;
  replaced_since_.reset();
  retire_if_finished();
}

void Upstream::retire_if_finished() {
  if (finishing_ && in_flight_.empty() && state_ != State::closing) retire();
}

void Upstream::retire() {
  if (state_ != State::ready) return close({Reason::Kind::requested, stage_, "no longer needed"});
  say(number(Remote::CONNECT_CLOSE), {});
  state_ = State::closing;
  retired_ = true;
  keepalive_.stop();
  deadline_.start(kGoodbye);
}

void Upstream::fail(Reason::Kind kind, std::string text) { close({kind, stage_, std::move(text)}); }

void Upstream::close(Reason reason) {
  state_ = State::closing;
  incoming_.reset();
  deadline_.stop();
  keepalive_.stop();
  turn_.stop();
  authentication_.stop();
  stream_->close(std::move(reason));
}

void Upstream::on_closed(const Reason& closed_for) {
  // Daemons and programs differ in how they end what we have ended.
  Reason reason =
      retired_ ? Reason{Reason::Kind::requested, Stage::established, "closed"} : closed_for;
  // The stream was open, and what it was opened for was not.
  if (reason.stage == Stage::established && !was_ready_) reason.stage = stage_;
  state_ = State::closing;
  incoming_.reset();
  deadline_.stop();
  keepalive_.stop();
  turn_.stop();
  authentication_.stop();
  policy::Fault fault = fault_;
  if (fault.text.empty()) {
    fault.code = code_of(reason.kind, reason.stage);
    fault.domain = ErrorDomain::rpc;
    fault.text = reason.text;
  }
  if (reason.stage != Stage::established) {
    fault.text = std::string(tunnel::io::stage_name(reason.stage)) + ": " + fault.text;
  }
  owner_.on_upstream_closed(*this, fault, reason);
}

}  // namespace proxy
