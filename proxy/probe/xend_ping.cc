#include "proxy/probe/xend_ping.h"

#include <utility>

namespace proxy {

using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

policy::XendQuestion node() { return {"/xend/node/", policy::SexprKind::nodes}; }

}  // namespace

XendPing::XendPing(tunnel::io::Clock& clock, tunnel::Tunnel& tunnel,
                   const conf::TargetConfig& target, std::uint32_t count, Ping::Now now,
                   std::function<void()> done)
    : clock_(clock),
      tunnel_(tunnel),
      target_(target),
      count_(count),
      now_(std::move(now)),
      done_(std::move(done)) {}

void XendPing::start() { ask(); }

void XendPing::ask() {
  began_ = now_();
  exchange_ = std::make_unique<XendExchange>(clock_, tunnel_.stream(),
                                             static_cast<XendExchangeOwner&>(*this));
  exchange_->start(node(), xend_host(target_), target_.call_timeout);
}

void XendPing::on_xend_stage(XendExchange& exchange, Stage stage) {
  static_cast<void>(exchange);
  finish_stage();
  began_ = now_();
  if (!report_.calls.empty()) return;
  stage_ =
      stage == Stage::established ? PingReport::kCall : std::string(tunnel::io::stage_name(stage));
}

void XendPing::finish_stage() {
  if (!stage_.empty()) report_.stages.push_back({std::exchange(stage_, {}), now_() - began_});
}

void XendPing::on_xend_done(XendExchange& exchange) {
  std::optional<Reason> failure = exchange.failure();
  if (!failure) {
    const policy::HttpAnswer answer = policy::answer_of_xend(node(), exchange.response());
    if (answer.status >= 300) {
      std::string text = "it answers " + std::to_string(exchange.response().status());
      if (answer.status != exchange.response().status()) text += ", and no S-expression";
      failure = Reason{Reason::Kind::protocol, Stage::established, std::move(text)};
    }
  }
  if (failure) {
    const bool reached = failure->stage == Stage::established;
    report_.failure = PingReport::Failure{
        reached ? PingReport::kCall : std::string(tunnel::io::stage_name(failure->stage)),
        *failure};
    exchange_.reset();
    return done_();
  }
  report_.calls.push_back(now_() - began_);
  finish_stage();
  if (report_.calls.size() < count_) return ask();
  exchange_.reset();
  done_();
}

}  // namespace proxy
