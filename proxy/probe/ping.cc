#include "proxy/probe/ping.h"

#include <utility>

#include "base/check.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace proxy {

using policy::Frame;
using policy::Remote;
using tunnel::io::Reason;

namespace {

std::optional<std::string> text_of(const Frame& reply) {
  std::string_view text;
  if (!reply.header.is(policy::Status::ok)) return std::nullopt;
  if (!policy::XdrReader(reply.body).string(text)) return std::nullopt;
  return std::string(text);
}

}  // namespace

Ping::Ping(tunnel::io::Clock& clock, Sasl& sasl, std::unique_ptr<tunnel::io::Stream> stream,
           PingSettings settings, Now now, std::function<void()> done)
    : count_(settings.count),
      call_timeout_(settings.call_timeout),
      now_(std::move(now)),
      done_(std::move(done)),
      deadline_(clock,
                [this] {
                  fail(Reason::Kind::timeout,
                       "no answer within " + std::to_string(call_timeout_.count()) + " ms");
                }),
      upstream_(std::make_unique<Upstream>(clock, sasl, static_cast<UpstreamOwner&>(*this),
                                           std::move(stream), std::move(settings.upstream))) {}

void Ping::start() {
  began_ = now_();
  upstream_->start();
}

void Ping::on_upstream_stage(Upstream& upstream, tunnel::io::Stage stage) {
  static_cast<void>(upstream);
  begin(std::string(tunnel::io::stage_name(stage)));
}

void Ping::begin(std::string stage) {
  finish_stage();
  stage_ = std::move(stage);
  began_ = now_();
}

void Ping::finish_stage() {
  if (!stage_.empty()) report_.stages.push_back({std::exchange(stage_, {}), now_() - began_});
}

void Ping::on_upstream_ready(Upstream& upstream) {
  static_cast<void>(upstream);
  begin(PingReport::kCall);
  call(number(Remote::CONNECT_GET_LIB_VERSION));
}

void Ping::call(std::int32_t procedure) {
  Calls calls(1);
  calls.front().procedure = procedure;
  deadline_.start(call_timeout_);
  upstream_->send(calls);
}

void Ping::next_call() {
  began_ = now_();
  call(number(Remote::CONNECT_GET_LIB_VERSION));
}

void Ping::on_upstream_reply(Upstream& upstream, Calls answered, const Frame& reply) {
  static_cast<void>(upstream);
  deadline_.stop();
  const std::int32_t procedure = answered.front().procedure;
  if (procedure == number(Remote::CONNECT_GET_LIB_VERSION)) return on_version(reply);
  if (procedure == number(Remote::CONNECT_GET_HOSTNAME)) {
    report_.host = text_of(reply);
    return call(number(Remote::CONNECT_GET_URI));
  }
  report_.uri = text_of(reply);
  upstream_->retire();
}

void Ping::on_version(const Frame& reply) {
  if (!reply.header.is(policy::Status::ok)) {
    return fail(Reason::Kind::refused, "the daemon says: " + policy::decode_error(reply.body).text);
  }
  policy::XdrReader reader(reply.body);
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  const bool read = reader.word(high) && reader.word(low);
  CHECK(read);  // by its signature
  report_.version = std::uint64_t{high} << 32U | low;
  report_.calls.push_back(now_() - began_);
  finish_stage();
  if (report_.calls.size() < count_) return next_call();
  call(number(Remote::CONNECT_GET_HOSTNAME));
}

void Ping::on_upstream_event(Upstream& upstream, const Frame& event) {
  static_cast<void>(upstream);
  static_cast<void>(event);
}

void Ping::fail(Reason::Kind kind, std::string text) {
  upstream_->close({kind, tunnel::io::Stage::established, std::move(text)});
}

void Ping::on_upstream_closed(Upstream& upstream, const policy::Fault& fault,
                              const Reason& reason) {
  static_cast<void>(fault);
  const bool was_open = upstream.was_ready();
  deadline_.stop();
  if (reason.kind != Reason::Kind::requested) {
    report_.failure = PingReport::Failure{
        was_open ? PingReport::kCall : std::string(tunnel::io::stage_name(reason.stage)), reason};
  }
  upstream_.reset();
  done_();
}

}  // namespace proxy
