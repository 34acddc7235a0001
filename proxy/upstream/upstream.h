// One libvirt connection to a daemon: authentication, keepalive, the read-only open, and then up to
// kSlots calls at a time for whomever the pool sends. The daemon is not trusted: a message that is
// no answer to a call in flight, no event and no keepalive ends the connection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "conf/values.h"
#include "policy/error.h"
#include "policy/message.h"
#include "policy/reply.h"
#include "proxy/record/counters.h"
#include "proxy/upstream/authentication.h"
#include "proxy/upstream/call.h"
#include "proxy/upstream/slabs.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace proxy {

class Upstream;

// The pool, as an upstream sees it. All of these come from the loop.
class UpstreamOwner {
 public:
  virtual ~UpstreamOwner() = default;
  // A stage began; `established` never comes here. For those who measure.
  virtual void on_upstream_stage(Upstream& upstream, tunnel::io::Stage stage) {
    static_cast<void>(upstream);
    static_cast<void>(stage);
  }
  virtual void on_upstream_ready(Upstream& upstream) = 0;
  // `call` holds the one call that was answered.
  virtual void on_upstream_reply(Upstream& upstream, Calls call, const policy::Frame& reply) = 0;
  virtual void on_upstream_event(Upstream& upstream, const policy::Frame& event) = 0;
  // The last call; the owner takes the calls in flight with take_in_flight() and destroys the
  // upstream. `fault` says why in words for clients, without the target's name.
  virtual void on_upstream_closed(Upstream& upstream, const policy::Fault& fault,
                                  const tunnel::io::Reason& reason) = 0;
};

// What an upstream is told of its target.
struct UpstreamSettings {
  std::string connect_name;  // the only name it ever sends
  AuthenticationSettings authentication;
  Milliseconds open_timeout{10000};
  Milliseconds keepalive_interval{5000};  // 0: none
  std::uint32_t keepalive_count = 3;
  std::uint32_t max_message = policy::kMaxMessage;
  Traffic* traffic = nullptr;  // counts its bytes, and outlives it; null: nobody does
  Slabs* slabs = nullptr;      // for long replies, and outlives it; null: the system's memory
};

// What the target itself says; the rest has its default.
UpstreamSettings upstream_settings(const conf::TargetConfig& target);

class Upstream final : private tunnel::io::StreamOwner {
 public:
  // libvirtd runs five requests of a connection at once (max_client_requests) and stops reading at
  // that number; the fifth place is left to keepalive.
  static constexpr std::size_t kSlots = 4;
  // The longest event that is taken. Most have a few hundred bytes; none brings more than one text
  // of free length, which libvirt lets have 4 MiB, and the rest is room for the fields around it.
  // What an event costs is multiplied by those who subscribed to it.
  static constexpr std::size_t kMostEvent = (std::size_t{4} << 20) + (std::size_t{64} << 10);

  // Messages, bytes of them and the time that they take in one turn of the loop; then everybody
  // else is heard before the rest is.
  static constexpr std::size_t kMessagesOfTurn = 128;
  static constexpr std::size_t kBytesOfTurn = std::size_t{256} * 1024;
  static constexpr tunnel::io::Microseconds kTimeOfTurn{2000};
  // Of decoding a reply, between looks at that time. What is no longer than 64 KiB has fewer.
  static constexpr std::size_t kStepsAtOnce = 16384;
  // Before it is ready a daemon has little to say.
  static constexpr std::size_t kMostBeforeReady = std::size_t{256} * 1024;

  // `clock`, `sasl` and `owner` outlive it.
  Upstream(tunnel::io::Clock& clock, Sasl& sasl, UpstreamOwner& owner,
           std::unique_ptr<tunnel::io::Stream> stream, UpstreamSettings settings);
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;
  ~Upstream() override = default;

  void start();

  [[nodiscard]] bool ready() const { return state_ == State::ready && !finishing_; }
  [[nodiscard]] bool was_ready() const { return was_ready_; }
  // Once was_ready().
  [[nodiscard]] Milliseconds ready_since() const { return ready_since_; }
  // It was opened or heard since then, so it did not end together with another one at that time.
  [[nodiscard]] bool proven_since(Milliseconds time) const {
    return ready_since_ >= time || last_heard_ > time;
  }
  [[nodiscard]] bool connecting() const { return state_ < State::ready; }
  // Open, whether or not it takes calls.
  [[nodiscard]] bool established() const { return state_ == State::ready; }

  // What is known of a connection on which nothing that was asked is answered; an answer, or a part
  // of one, ends all of it. Pings of the daemon's own and events are none: they come from one that
  // reads nothing, too.
  struct Silence {
    std::optional<Milliseconds> asked_since;      // unanswered
    std::optional<Milliseconds> elsewhere_since;  // the daemon answers on other connections
    bool logged = false;
    bool excused = false;  // is not dead for that: it may have as many calls as its daemon takes
    bool full = false;     // it has more than that, so that some are not read
  };
  [[nodiscard]] Silence& silence() { return silence_; }
  [[nodiscard]] const Silence& silence() const { return silence_; }
  // Asks whether the daemon is there, unless it has been asked already or knows no such question.
  void ping();
  // A daemon whose `max_client_requests` calls of a connection are all under way reads no pings.
  // What has been seen of that since the last time; 0: nothing. Calls that it has taken at once,
  // since what came behind them was answered first; and those that were there when it spoke again
  // after others of it had been heard.
  struct Load {
    std::size_t taken = 0;
    std::size_t revived = 0;
  };
  Load take_load() { return std::exchange(load_, {}); }
  // There is a call that somebody waits for, and so many in all; or one that has been lost already.
  [[nodiscard]] bool has_wanted(std::size_t beside) const {
    return std::ranges::any_of(in_flight_, [&](const Call& call) {
      return call.wanted() && (call.losses > 0 || in_flight_.size() >= beside);
    });
  }
  [[nodiscard]] Milliseconds last_heard() const { return last_heard_; }
  // Something that was asked, or became ready.
  [[nodiscard]] Milliseconds last_answered() const { return last_answered_; }
  // Takes no more calls, since it has some that nobody waits for any more.
  void replace() {
    finish();
    replaced_since_ = clock_.now();
  }
  [[nodiscard]] std::optional<Milliseconds> replaced_since() const { return replaced_since_; }
  // A call that is at the daemon for so long.
  [[nodiscard]] bool has_older_than(Milliseconds age) const {
    return std::ranges::any_of(in_flight_,
                               [&](const Call& call) { return clock_.now() - call.sent >= age; });
  }
  [[nodiscard]] bool has_room() const { return ready() && in_flight_.size() < kSlots; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  // `established` once it is ready.
  [[nodiscard]] tunnel::io::Stage stage() const { return stage_; }
  [[nodiscard]] Calls& calls() { return in_flight_; }
  // When it last had a call in flight.
  [[nodiscard]] Milliseconds last_used() const { return last_used_; }

  // Takes the first call of `from` and sends it. There must be room.
  void send(Calls& from);

  // Takes no more calls, and goes once those in flight are answered; retire_if_finished() says
  // when. If it was replaced, it is outdated from now on.
  void finish();
  [[nodiscard]] bool finishing() const { return finishing_; }
  // It leads to what was the target before a reload.
  [[nodiscard]] bool outdated() const { return finishing_ && !replaced_since_; }
  void retire_if_finished();
  // Says goodbye as libvirt's clients do, and closes. No more calls are taken; those in flight are
  // lost to it. The connection has served its purpose: however the other side ends it from then on,
  // the owner hears `requested`.
  void retire();
  void close(tunnel::io::Reason reason);
  Calls take_in_flight() { return std::move(in_flight_); }

 private:
  enum class State : std::uint8_t { tunnel, authenticating, opening, ready, closing };
  // A reply that is being decoded.
  struct Incoming {
    Calls::iterator call;
    policy::Frame frame;
    policy::ReplyDecoder decoder;
  };

  void on_stage(tunnel::io::Stage stage) override;
  void on_open() override;
  std::span<std::uint8_t> room() override;
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason& reason) override;

  void enter(tunnel::io::Stage stage);
  base::Bytes read(base::Bytes data);
  void read_layer(base::Bytes data);
  void take(base::Bytes data);
  void work_on(const policy::Frame* frame);
  [[nodiscard]] bool holds_back() const {
    return turn_.running() || authentication_.working() != nullptr;
  }
  void late();
  bool turn_is_over();
  void begin_turn();
  void next_turn();
  void on_frame(const policy::Frame& frame);
  void on_message(const policy::Frame& frame);
  void on_keepalive(const policy::Frame& frame);
  void on_handshake_reply(const policy::Frame& frame);
  void advance(const Authentication::Next& next);
  void go_on(const Authentication::Next& next);
  void on_daemon_error(base::Bytes body);
  void on_opened();
  void on_reply(const policy::Frame& frame);
  void answered();
  void took(std::size_t calls) { load_.taken = std::max(load_.taken, calls); }
  void decode_on();
  void hand_over(Calls::iterator call, const policy::Frame& reply);
  void say_open();
  void say(std::int32_t procedure, base::Bytes body);
  void send_frame(policy::Header header, base::Bytes body);
  void write(base::Bytes data);
  void fail(tunnel::io::Reason::Kind kind, std::string text);
  void keep_alive();
  [[nodiscard]] bool may_ping() const {
    return daemon_pings_ && settings_.keepalive_interval.count() > 0;
  }

  tunnel::io::Clock& clock_;
  UpstreamOwner& owner_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  UpstreamSettings settings_;
  Authentication authentication_;
  std::unique_ptr<SaslClient> layer_;  // what all bytes go through; usually none
  policy::FrameReader reader_;
  tunnel::io::Timer deadline_;
  tunnel::io::Timer keepalive_;
  tunnel::io::Timer turn_;  // runs while this turn is over
  base::Buffer backlog_;    // for the next one, or for when we know how to go on
  Milliseconds turn_began_{0};
  std::size_t messages_ = 0;          // of this turn
  std::size_t bytes_ = 0;             // of this turn; before it is ready, of all
  tunnel::io::Microseconds took_{0};  // of this turn
  Calls in_flight_;
  std::optional<Incoming> incoming_;
  State state_ = State::tunnel;
  tunnel::io::Stage stage_ = tunnel::io::Stage::look_up;
  std::uint32_t next_serial_ = 0;
  std::int32_t awaited_ = 0;  // the procedure of the handshake whose answer comes next
  std::uint32_t awaited_serial_ = 0;
  bool daemon_pings_ = false;
  bool was_ready_ = false;
  bool finishing_ = false;
  std::optional<Milliseconds> replaced_since_;
  bool retired_ = false;
  std::uint32_t pings_unanswered_ = 0;  // of keepalive
  Silence silence_;
  Load load_;
  Milliseconds pinged_at_{0};
  Milliseconds last_heard_{0};
  Milliseconds last_answered_{0};
  Milliseconds ready_since_{0};
  Milliseconds last_used_{0};
  policy::Fault fault_;  // set when the daemon itself said why
};

}  // namespace proxy
