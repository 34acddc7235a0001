#include "proxy/xend/xend_exchange.h"

#include <utility>

#include "conf/values.h"

namespace proxy {

using policy::XendResponse;
using tunnel::io::Reason;
using tunnel::io::Stage;

XendExchange::XendExchange(tunnel::io::Clock& clock, std::unique_ptr<tunnel::io::Stream> stream,
                           XendExchangeOwner& owner)
    : owner_(owner), stream_(std::move(stream)), deadline_(clock, [this] {
        close({Reason::Kind::timeout, stage_,
               stage_ < Stage::established
                   ? "xend was not reached within " + std::to_string(timeout_.count()) + " ms"
                   : "xend did not answer within " + std::to_string(timeout_.count()) + " ms"});
      }) {}

void XendExchange::start(const policy::XendQuestion& question, const std::string& host,
                         tunnel::io::Milliseconds timeout) {
  timeout_ = timeout;
  deadline_.start(timeout);
  stream_->open(*this);
  stream_->write(base::bytes_of(policy::xend_request(question, host)));
}

void XendExchange::close(Reason reason) { stream_->close(std::move(reason)); }

void XendExchange::on_stage(Stage stage) {
  stage_ = stage;
  owner_.on_xend_stage(*this, stage);
}

void XendExchange::on_data(base::Bytes data) { settle(response_.feed(data)); }

void XendExchange::on_end() { settle(response_.end()); }

void XendExchange::settle(XendResponse::State state) {
  switch (state) {
    case XendResponse::State::reading:
      return;
    case XendResponse::State::complete:
      return close({Reason::Kind::requested, Stage::established, "answered"});
    case XendResponse::State::malformed:
      return close({Reason::Kind::protocol, Stage::established,
                    "xend's answer cannot be used: " + response_.wrong()});
  }
}

void XendExchange::on_closed(const Reason& reason) {
  deadline_.stop();
  if (response_.state() != XendResponse::State::complete) failure_ = reason;
  owner_.on_xend_done(*this);
}

std::string xend_host(const conf::TargetConfig& target) {
  const tunnel::Target& way = target.tunnel;
  if (way.transport != tunnel::Transport::tcp) return "localhost";
  const bool brackets = way.host.find(':') != std::string::npos;
  return (brackets ? '[' + way.host + ']' : way.host) + ':' + std::to_string(way.port);
}

}  // namespace proxy
