// What a client, and all clients of its user together, may make the gate keep.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "proxy/client.h"

namespace proxy {

using tunnel::io::Stream;

namespace {

constexpr Milliseconds kRecountWhenHeld{20};

bool fits(std::uint64_t size, std::uint64_t used, std::uint64_t most) {
  return used <= most && size <= most - used;
}

}  // namespace

void Client::answered(const Call& call) {
  CHECK(bodies_ >= call.body.size());
  bodies_ -= call.body.size();
  count_asked();
  done();
}

bool Client::can_take_reply() {
  if (stream_->queued() > Stream::kHighMark) return false;
  if (user_.buffered <= place_.limits.user_buffer) return true;
  user_.held.insert(this);
  if (!user_.look.running()) user_.look.start(kRecountWhenHeld);
  return false;
}

void Client::on_user_relieved() {
  if (pool_ != nullptr) pool_->wake(lane_);
}

void Client::wrote() {
  recount();
  if (stream_->queued() > Stream::kHighMark) hold(kOutput);
  if (counted_ > 0 && !tick_.running()) arm();
}

void Client::recount() {
  const std::uint64_t now = stream_->queued();
  if (now < counted_ || counted_ == 0) last_progress_ = place_.clock.now();
  user_.buffered += now;
  user_.buffered -= counted_;
  counted_ = now;
  if (counted_ > 0) {
    user_.writing.insert(this);
  } else {
    user_.writing.erase(this);
  }
  relieve_user();
}

void Client::relieve_user() {
  if (user_.held.empty() || user_.buffered > place_.limits.user_buffer / 2) return;
  const std::set<Client*> held = std::exchange(user_.held, {});
  for (Client* client : held) client->on_user_relieved();
}

void Client::recount_all(User& user) {
  const std::set<Client*> writing = user.writing;
  for (Client* client : writing) client->recount();
}

bool Client::has_room(std::uint64_t size) const {
  return fits(size, stream_->queued(), place_.limits.client_buffer);
}

// What others have read since they last wrote is not yet counted.
bool Client::user_has_room(std::uint64_t size) {
  if (fits(size, user_.buffered, place_.limits.user_buffer)) return true;
  recount_all(user_);
  return fits(size, user_.buffered, place_.limits.user_buffer);
}

void Client::look_again(User& user) {
  recount_all(user);
  if (!user.held.empty()) user.look.start(kRecountWhenHeld);
}

// One call of any length can always come to its end.
std::uint64_t Client::most_asked() const {
  return std::max<std::uint64_t>(place_.limits.user_buffer,
                                 std::uint64_t{2} * place_.limits.max_call);
}

// What a user's clients have sent and wait for is bounded: beyond it none of them is read from.
void Client::count_asked() {
  const std::uint64_t now = reader_.held() + bodies_;
  user_.asking += now;
  user_.asking -= std::exchange(asked_, now);
  if (user_.asking > most_asked()) {
    user_.unheard.insert(this);
    hold(kAsking);
  }
  hear_again();
}

void Client::hear_again() {
  if (user_.unheard.empty() || user_.asking > most_asked() / 2) return;
  const std::set<Client*> unheard = std::exchange(user_.unheard, {});
  for (Client* client : unheard) client->release(kAsking);
}

}  // namespace proxy
