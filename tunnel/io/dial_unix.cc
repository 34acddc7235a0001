#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "base/fd.h"
#include "base/shortage.h"
#include "tunnel/io/address.h"
#include "tunnel/io/descriptors.h"
#include "tunnel/io/dialer.h"
#include "tunnel/io/loop.h"

namespace tunnel::io {
namespace {

constexpr Milliseconds kFirstRetry{2};
constexpr Milliseconds kLongestRetry{100};

class UnixDialer final : public Dialer {
 public:
  UnixDialer(Loop& loop, std::vector<std::string> addresses, Milliseconds deadline)
      : addresses_(std::move(addresses)),
        limit_(deadline),
        deadline_(loop.clock(), [this] { give_up(); }),
        retry_(loop.clock(), [this] { go_on(); }) {}

  void start(DialerOwner& owner) override {
    owner_ = &owner;
    owner.on_dial_stage(Stage::connect);
    deadline_.start(limit_);
    go_on();
  }

 private:
  void go_on() {
    while (next_ < addresses_.size()) {
      const int error = attempt(addresses_[next_]);
      if (error == 0) return owner_->on_dialed(socket_.release());
      if (error == EAGAIN) {
        // The kernel tells nobody when there is room in a listener's queue again.
        retry_.start(wait_);
        wait_ = std::min(wait_ * 2, kLongestRetry);
        return;
      }
      ++next_;
    }
    deadline_.stop();
    if (account_.empty()) account_ = "no socket is named";
    owner_->on_dial_failed({kind_of(shortage_, Reason::Kind::system), Stage::connect, account_});
  }

  int attempt(const std::string& text) {
    const auto address = unix_address(text);
    if (!address) return note(text, EINVAL, address.error());
    socket_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket_.ok() && is_kept(socket_.get())) return note(text, EMFILE, kNoneLeft);
    if (!socket_.ok()) return note(text, errno, base::system_words(errno));
    const auto* raw = reinterpret_cast<const sockaddr*>(&address->raw);
    if (connect(socket_.get(), raw, address->length) == 0) return 0;
    return errno == EAGAIN ? EAGAIN : note(text, errno, base::system_words(errno));
  }

  int note(const std::string& text, int error, const std::string& why) {
    shortage_ = shortage_ || base::is_shortage(error);
    account_ += (account_.empty() ? "" : "; ") + text + ": " + why;
    return error;
  }

  void give_up() {
    retry_.stop();
    note(addresses_[next_], EAGAIN,
         "too many connections wait there, for " + std::to_string(limit_.count()) + " ms");
    owner_->on_dial_failed({Reason::Kind::timeout, Stage::connect, account_});
  }

  std::vector<std::string> addresses_;
  Milliseconds limit_;
  Milliseconds wait_ = kFirstRetry;
  DialerOwner* owner_ = nullptr;
  std::size_t next_ = 0;
  std::string account_;
  bool shortage_ = false;
  base::Fd socket_{-1};
  Timer deadline_;
  Timer retry_;
};

}  // namespace

std::unique_ptr<Dialer> unix_dialer(Loop& loop, std::vector<std::string> addresses,
                                    Milliseconds deadline) {
  return std::make_unique<UnixDialer>(loop, std::move(addresses), deadline);
}

}  // namespace tunnel::io
