#include "proxy/upstream/pacer.h"

#include <utility>

#include "base/text.h"

namespace proxy {
namespace {

using tunnel::Transport;

// Empty: dials there need not be paced.
std::string place_of(const tunnel::Target& target) {
  if (target.transport == Transport::unix || target.transport == Transport::ext) return {};
  return base::lower(target.host) + ' ' + std::to_string(target.port);
}

}  // namespace

void Pacer::pass_on(Hosts::iterator host) {
  Host& there = host->second;
  while (there.taken < there.most && !there.waiting.empty()) {
    Turn& next = *there.waiting.front();
    there.waiting.pop_front();
    ++there.taken;
    next.state_ = Turn::State::due;
    next.timer_.start(Milliseconds(0));
  }
  if (there.taken == 0) hosts_.erase(host);
}

Pacer::Turn::Turn(Pacer& pacer, tunnel::io::Clock& clock, std::function<void()> come)
    : pacer_(pacer), come_(std::move(come)), timer_(clock, [this] { passed(); }) {}

bool Pacer::Turn::ask(const tunnel::Target& target, Milliseconds patience) {
  end();
  const std::string place = place_of(target);
  if (place.empty()) return true;
  host_ = pacer_.hosts_.try_emplace(place).first;
  Host& there = host_->second;
  there.most = target.transport == Transport::ssh ? kMostOfSsh : kMostOthers;
  if (there.taken < there.most) {
    ++there.taken;
    state_ = State::taken;
    timer_.start(kLongestTurn);
    return true;
  }
  node_ = there.waiting.insert(there.waiting.end(), this);
  state_ = State::waiting;
  timer_.start(patience);
  return false;
}

void Pacer::Turn::passed() {
  switch (state_) {
    case State::none:
      return;
    case State::taken:
      return leave();
    case State::due:
      state_ = State::taken;
      timer_.start(kLongestTurn);
      return come_();
    case State::waiting:
      host_->second.waiting.erase(node_);
      state_ = State::none;
      return come_();
  }
}

void Pacer::Turn::end() {
  timer_.stop();
  if (state_ == State::waiting) {
    host_->second.waiting.erase(node_);
    state_ = State::none;
  } else if (state_ != State::none) {
    leave();
  }
}

void Pacer::Turn::leave() {
  state_ = State::none;
  --host_->second.taken;
  pacer_.pass_on(host_);
}

}  // namespace proxy
