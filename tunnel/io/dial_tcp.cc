#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <uv.h>

#include "base/fd.h"
#include "base/shortage.h"
#include "tunnel/io/callback.h"
#include "tunnel/io/descriptors.h"
#include "tunnel/io/dialer.h"
#include "tunnel/io/look_up.h"
#include "tunnel/io/race.h"

namespace tunnel::io {
namespace {

// A peer that vanished is noticed in two minutes even if nothing is sent.
constexpr int kKeepIdle = 60;
constexpr int kKeepInterval = 10;
constexpr int kKeepCount = 6;

void set(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

class TcpDialer;

// One attempt to connect. libuv closes it in its own time, so it owns itself from close() on.
struct Attempt {
  uv_tcp_t tcp{};
  uv_connect_t request{};
  TcpDialer* dialer = nullptr;
  std::size_t index = 0;

  void connected(int status);
  void close() {
    dialer = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp),
             [](uv_handle_t* handle) { delete static_cast<Attempt*>(handle->data); });
  }
};

class TcpDialer final : public Dialer, public RaceOwner {
 public:
  TcpDialer(Loop& loop, std::string host, std::uint16_t port, const ConnectOptions& options)
      : loop_(loop),
        host_(std::move(host)),
        port_(port),
        options_(options),
        deadline_(loop.clock(), [this] { give_up(); }) {}
  ~TcpDialer() override {
    for (Attempt* attempt : attempts_) attempt->close();
  }

  // For an attempt.
  void settle(Attempt* attempt, int status);

  void start(DialerOwner& owner) override {
    owner_ = &owner;
    if (const auto literal = address_literal(host_, port_)) return connect_to({*literal});
    owner.on_dial_stage(Stage::look_up);
    look_up_.emplace(loop_, host_, port_, options_.look_up,
                     [this](LookUp::Answer answer) { looked_up(std::move(answer)); });
    look_up_->start();
  }

 private:
  void looked_up(LookUp::Answer answer) {
    look_up_.reset();
    if (!answer) return owner_->on_dial_failed(answer.error());
    connect_to(*answer);
  }

  void connect_to(const std::vector<Address>& addresses) {
    if (!options_.local_addresses) {
      const auto local = std::ranges::find_if(
          addresses, [](const Address& one) { return one.is_local() || leads_to_this_host(one); });
      if (local != addresses.end()) return refuse_local(*local);
    }
    owner_->on_dial_stage(Stage::connect);
    race_.emplace(loop_.clock(), addresses, *this);
    race_->start();
    deadline_.start(options_.connect);
  }

  void refuse_local(const Address& address) {
    owner_->on_dial_failed(
        {Reason::Kind::refused, Stage::look_up,
         host_ + " is " + address.text() +
             ", an address of this host or of its link, where URIs of clients must not lead"});
  }

  void on_attempt(std::size_t index) override {
    const Address& address = race_->address(index);
    auto* attempt = new Attempt;
    attempt->tcp.data = attempt;
    attempt->dialer = this;
    attempt->index = index;
    const auto family = static_cast<unsigned>(address.family());
    int status = uv_tcp_init_ex(loop_.inside().raw(), &attempt->tcp, family);
    if (status != 0) {
      delete attempt;
      return failed(index, status);
    }
    attempts_.push_back(attempt);
    uv_os_fd_t own = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(&attempt->tcp), &own);
    if (own >= 0 && is_kept(own)) return fail(attempt, UV_EMFILE);
    status = uv_tcp_connect(&attempt->request, &attempt->tcp, address.raw(),
                            callback<&Attempt::connected>);
    if (status != 0) fail(attempt, status);
  }

  void fail(Attempt* attempt, int status) {
    std::erase(attempts_, attempt);
    const std::size_t index = attempt->index;
    attempt->close();
    failed(index, status);
  }

  void failed(std::size_t index, int status) {
    shortage_ = shortage_ || base::is_shortage(-status);
    race_->failed(index, base::system_words(-status));
  }

  void on_all_failed() override {
    deadline_.stop();
    owner_->on_dial_failed(
        {kind_of(shortage_, Reason::Kind::system), Stage::connect, race_->account()});
  }

  void give_up() {
    const std::string text =
        race_->account() + " (in " + std::to_string(options_.connect.count()) + " ms)";
    owner_->on_dial_failed({Reason::Kind::timeout, Stage::connect, text});
  }

  Loop& loop_;
  std::string host_;
  std::uint16_t port_;
  ConnectOptions options_;
  DialerOwner* owner_ = nullptr;
  std::optional<LookUp> look_up_;
  std::optional<Race> race_;
  std::vector<Attempt*> attempts_;
  bool shortage_ = false;
  Timer deadline_;
};

void TcpDialer::settle(Attempt* attempt, int status) {
  if (status != 0) return fail(attempt, status);
  uv_os_fd_t own = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(&attempt->tcp), &own);
  // The stream gets the socket and not the handle, which it would have to keep on the heap.
  const int fd = fcntl(own, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail(attempt, -errno);
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdle);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepInterval);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepCount);
  owner_->on_dialed(fd);
}

void Attempt::connected(int status) {
  if (dialer != nullptr) dialer->settle(this, status);
}

}  // namespace

std::unique_ptr<Dialer> tcp_dialer(Loop& loop, std::string host, std::uint16_t port,
                                   const ConnectOptions& options) {
  return std::make_unique<TcpDialer>(loop, std::move(host), port, options);
}

}  // namespace tunnel::io
