#include "tunnel/io/look_up.h"

#include <utility>

#include "tunnel/io/loop_inside.h"

namespace tunnel::io {
namespace {

constexpr std::size_t kLongestName = 253;
constexpr int kPatience = 2;

}  // namespace

LookUp::LookUp(Loop& loop, std::string host, std::uint16_t port, Milliseconds deadline,
               std::function<void(Answer)> done)
    : loop_(loop),
      host_(std::move(host)),
      port_(port),
      deadline_(deadline),
      done_(std::move(done)),
      timer_(loop.clock(), [this] { time_is_up(); }) {}

void LookUp::start() {
  if (host_.empty() || host_.find('\0') != std::string::npos) refusal_ = "that is no host name";
  if (host_.size() > kLongestName) refusal_ = "a host name has at most 253 bytes";
  if (!refusal_.empty()) return timer_.start(Milliseconds(0));
  began_ = loop_.clock().now();
  question_ = loop_.inside().resolver().ask(host_, [this](const Resolved& one) { answered(one); });
  timer_.start(deadline_);
}

void LookUp::time_is_up() {
  if (!refusal_.empty()) return fail(Reason::Kind::refused, refusal_);
  const auto ms = [](Milliseconds time) { return std::to_string(time.count()) + " ms"; };
  const Milliseconds now = loop_.clock().now();
  const Milliseconds until =
      question_->since ? *question_->since + deadline_ : began_ + kPatience * deadline_;
  if (until > now) return timer_.start(until - now);
  if (question_->since) return fail(Reason::Kind::timeout, "no answer in " + ms(deadline_));
  fail(Reason::Kind::timeout, "not looked up in " + ms(kPatience * deadline_) +
                                  ", because too many other look-ups get no answer");
}

void LookUp::answered(const Resolved& resolved) {
  if (resolved.addresses.empty()) {
    return fail(kind_of(resolved.shortage, Reason::Kind::system), resolved.failure);
  }
  std::vector<Address> addresses;
  for (const Address& one : resolved.addresses) {
    if (const auto address = address_of(one.raw(), port_)) addresses.push_back(*address);
  }
  finish(std::move(addresses));
}

void LookUp::finish(Answer answer) {
  question_.reset();
  timer_.stop();
  const auto done = std::move(done_);
  done(std::move(answer));
}

void LookUp::fail(Reason::Kind kind, const std::string& text) {
  finish(base::Failure{Reason{kind, Stage::look_up, host_.substr(0, kLongestName) + ": " + text}});
}

}  // namespace tunnel::io
