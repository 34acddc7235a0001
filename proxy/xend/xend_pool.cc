#include "proxy/xend/xend_pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace proxy {

using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

XendPool::XendPool(tunnel::io::Clock& clock, conf::TargetConfig target,
                   std::unique_ptr<tunnel::Tunnel> tunnel, std::shared_ptr<TargetCounters> counters)
    : clock_(clock),
      target_(std::move(target)),
      host_(xend_host(target_)),
      tunnel_(std::move(tunnel)),
      counters_(std::move(counters)),
      expire_(clock, [this] { expire(); }) {}

XendPool::~XendPool() { CHECK(running_.empty() && waiting_.empty()); }

void XendPool::ask(XendAsker& asker, policy::XendQuestion question) {
  waiting_.push_back({&asker, std::move(question), clock_.now() + target_.call_timeout});
  start_next();
  arm();
}

void XendPool::start_next() {
  while (!waiting_.empty() && running_.size() < target_.upstreams) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    ++counters_->dials;
    Running& added = running_.emplace_back();
    added.asker = next.asker;
    added.exchange = std::make_unique<XendExchange>(clock_, tunnel_->stream(),
                                                    static_cast<XendExchangeOwner&>(*this));
    added.exchange->start(next.question, host_,
                          std::max(Milliseconds(1), next.deadline - clock_.now()));
  }
}

void XendPool::on_xend_done(XendExchange& exchange) {
  const auto found = std::find_if(running_.begin(), running_.end(), [&](const Running& one) {
    return one.exchange.get() == &exchange;
  });
  CHECK(found != running_.end());
  const Running done = std::move(*found);
  running_.erase(found);
  if (const auto& failure = done.exchange->failure()) {
    counters_->ended(failure->stage == Stage::established, *failure);
    if (failure->kind != Reason::Kind::requested) {
      last_failure_ = UpstreamFailure{failure->stage, failure->text, clock_.now()};
    }
  } else {
    ++counters_->opened;
    last_failure_.reset();
  }
  start_next();
  arm();
  if (done.asker == nullptr) {
    if (closed_ && running_.empty()) closed_();
    return;
  }
  if (exchange.failure()) return done.asker->on_xend_failed(*exchange.failure());
  done.asker->on_xend_answer(exchange.response());
}

void XendPool::leave(const XendAsker& asker) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.asker == &asker; });
  for (Running& one : running_) {
    if (one.asker != &asker) continue;
    one.asker = nullptr;
    one.exchange->close({Reason::Kind::requested, Stage::established, "nobody waits for it"});
  }
  arm();
}

void XendPool::close(std::function<void()> closed) {
  CHECK(waiting_.empty() && !closed_);
  if (running_.empty()) return closed();
  closed_ = std::move(closed);
}

void XendPool::expire() {
  while (!waiting_.empty() && waiting_.front().deadline <= clock_.now()) {
    XendAsker& asker = *waiting_.front().asker;
    waiting_.pop_front();
    asker.on_xend_failed({Reason::Kind::timeout, Stage::connect,
                          "all its connections were busy for " +
                              std::to_string(target_.call_timeout.count()) + " ms"});
  }
  arm();
}

void XendPool::arm() {
  if (waiting_.empty()) return expire_.stop();
  expire_.start(std::max(Milliseconds(0), waiting_.front().deadline - clock_.now()));
}

TargetSnapshot XendPool::snapshot() const {
  TargetSnapshot out;
  describe_target(target_, *counters_, out);
  out.clients = waiting_.size() + running_.size();
  out.waiting = waiting_.size();
  out.in_flight = running_.size();
  for (std::size_t i = 0; i < running_.size(); ++i) {
    out.upstreams.push_back({"open", std::string(stage_name(tunnel::io::Stage::established)), 1});
  }
  out.last_failure = describe(last_failure_, clock_.now());
  out.state = last_failure_ ? "failing" : (running_.empty() ? "idle" : "open");
  return out;
}

}  // namespace proxy
