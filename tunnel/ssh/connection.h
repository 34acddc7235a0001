// One ssh connection: the stream below, the check of the host's key, authentication, and channels.
//
// Channels are opened one after the other, since the library has room for one opening. All of the
// library is called from service() alone, which the loop calls: whatever an owner asks for in
// between is noted and done there. A connection whose server leaves an opening unanswered is ended,
// since the library cannot take it back; one that leaves a close unanswered gets no new channels
// and ends with its last one. A connection that nobody uses ends after a while.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/shortage.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/errands.h"
#include "tunnel/io/stream.h"
#include "tunnel/ssh/authenticator.h"
#include "tunnel/ssh/channel.h"
#include "tunnel/ssh/engine.h"
#include "tunnel/ssh/host_key_files.h"
#include "tunnel/ssh/known_hosts.h"
#include "tunnel/ssh/lower.h"
#include "tunnel/ssh/parts.h"
#include "tunnel/ssh/remote_command.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

class Connection : private io::StreamOwner {
 public:
  static constexpr io::Milliseconds kIdle{60000};
  static constexpr io::Milliseconds kKeepalive{30000};
  // Bytes that a server may send before we are logged in: banners, keys and answers are short.
  static constexpr std::size_t kMostBeforeLogin = std::size_t{256} * 1024;

  // All outlive the connection. `died` is called once, from the loop, after the owners of all
  // channels have heard of it; it must not destroy the connection.
  Connection(io::Clock& clock, const Target& target, const Parts& parts,
             std::function<void()> died);
  ~Connection() override;

  // Begins. To be called once, before or after channels are asked for.
  void start();

  // Whether a channel of that kind is worth asking for.
  [[nodiscard]] bool accepts(Way::Kind kind) const;
  // Authenticated; channels open at once.
  [[nodiscard]] bool ready() const { return phase_ == Phase::ready; }
  [[nodiscard]] bool dead() const { return phase_ == Phase::dead; }
  [[nodiscard]] io::Stage stage() const { return stage_; }
  // Gets no new channels if the server has said nothing for so long.
  void avoid_silent(io::Milliseconds silent_for) {
    if (clock_.now() - last_heard_ >= silent_for) stale_ = true;
  }

  // The channel is the connection's. It is good until its owner hears of its refusal or its end, or
  // says that it needs it no more.
  Channel* open(const Way& way, ChannelOwner& owner);

 private:
  // `files`: known hosts are read; `record`: a new host is written to one.
  enum class Phase : std::uint8_t { files, lower, handshake, record, authentication, ready, dead };

  void on_stage(io::Stage stage) override;
  void on_open() override;
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override { wake(); }
  void on_closed(const io::Reason& reason) override;

  // Calls service() soon.
  void wake();
  void service();
  void service_once();
  void handshake();
  void authenticate();
  void files_read(HostKeyFiles files, base::Result<KnownHosts, base::Problem> known);
  // Goes on to the login, at once or later, or gives why the key is not accepted.
  std::optional<base::Problem> check_host_key();
  void record(base::Bytes key);
  void recorded(const std::optional<base::Problem>& problem, const std::string& print);
  void refuse_host(const base::Problem& problem);
  void log_in();
  void no_thread(int error);

  void open_next();
  void refused(Channel& channel);
  void run_nothing();
  void service_channels();
  void handle_timeouts();
  void sweep_channels();
  void flush();
  [[nodiscard]] bool below_is_busy() const;
  void tell_stage();
  void begin(io::Stage stage, io::Milliseconds limit);
  void fail(io::Reason::Kind kind, const std::string& text) { fail({kind, stage_, text}); }
  void fail(const io::Reason& reason);
  void deadline_passed();
  void keepalive();
  [[nodiscard]] std::size_t sessions() const;
  void note(const std::string& text) const;

  io::Clock& clock_;
  const Target& target_;
  const Parts& parts_;
  std::function<void()> died_;
  std::string user_;
  Phase phase_ = Phase::files;
  io::Stage stage_ = io::Stage::look_up;
  std::size_t before_login_ = 0;  // bytes that have come
  io::Milliseconds last_heard_;
  bool servicing_ = false;
  bool again_ = false;
  bool lower_open_ = false;
  bool paused_ = false;
  bool stale_ = false;          // a close was never answered, or the server is silent
  bool sessions_full_ = false;  // the server refused one more session
  bool forwards_ = false;       // a socket was forwarded
  bool ran_nothing_ = false;
  std::optional<io::Reason> failure_;  // what the next service() ends with
  io::ErrandHandle errand_;            // of the phases `files` and `record`
  HostKeyFiles host_key_files_;
  std::optional<KnownHosts> known_hosts_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Authenticator> authenticator_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::deque<Channel*> openings_;
  std::size_t first_ = 0;  // of the channels, to be serviced first
  io::Timer wake_timer_;
  io::Timer deadline_;
  io::Timer idle_;
  io::Timer keepalive_timer_;
  LowerStream lower_;
};

}  // namespace tunnel::ssh
