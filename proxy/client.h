// One client of the gate: a libvirt connection on a local socket, of somebody whom the kernel
// vouches for. It answers by itself what concerns this hop, refuses what the filter refuses, and
// hands the rest to the pool of the target that the client opened.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "conf/names.h"
#include "policy/access.h"
#include "policy/filter.h"
#include "policy/message.h"
#include "proxy/call.h"
#include "proxy/counters.h"
#include "proxy/guest.h"
#include "proxy/log.h"
#include "proxy/pool.h"
#include "proxy/snapshot.h"
#include "proxy/users.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

class Client;

// A target that a client may see, and what it may do there.
struct Candidate {
  std::string target;
  policy::Grant grant;
};

// The gate, as a client sees it.
class ClientOwner {
 public:
  virtual ~ClientOwner() = default;
  // The targets that `name` may mean on the client's listener and that the client may see, best
  // first and at least one.
  virtual base::Result<std::vector<Candidate>, policy::Fault> resolve(
      const conf::Listen& listen, const tunnel::io::Peer& peer,
      std::optional<std::string_view> name) = 0;
  // Null when there is no such target.
  virtual Pool* pool(const std::string& target) = 0;
  // The share of a user under a rule.
  virtual Share& share(const policy::AccessRule& rule, uid_t uid) = 0;
  // What `peer` may do now on a target that it has opened. The error: nothing, or the target is not
  // there any more under that name, or is another.
  virtual base::Result<policy::Grant, std::string> grant(const tunnel::io::Peer& peer,
                                                         const Pool& opened) = 0;
  // The last call; the owner destroys the client.
  virtual void on_client_gone(Client& client) = 0;
};

class Client final : private tunnel::io::StreamOwner, private PoolUser {
 public:
  struct Place {
    tunnel::io::Clock& clock;
    Log& log;
    const conf::Limits& limits;
    Counters& counters;
    ClientOwner& owner;
  };

  // `number` names the client in the log; `listen` is where it came in. All of `place` outlives it.
  Client(const Place& place, std::int64_t number, std::unique_ptr<tunnel::io::Stream> stream,
         tunnel::io::Peer peer, const conf::Listen& listen, User& user, Guest guest);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() override = default;

  void start();
  // Every call is answered with `why`, and the connection ends soon: for a newcomer who is one too
  // many.
  void turn_away(std::string why);
  // Takes no more calls, and ends when those that it has are answered. Whoever came a moment ago is
  // let finish first what it came for, within a few seconds.
  void drain(std::string_view why);
  // The rules are others: they hold from the next call. Who may no longer see the target, or events
  // that it gets, is ended when what it has asked is answered.
  void regrant();
  void close(tunnel::io::Reason reason);

  [[nodiscard]] std::int64_t number() const { return number_; }
  [[nodiscard]] User& user() { return user_; }
  [[nodiscard]] const Guest& guest() const { return guest_; }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] ClientSnapshot snapshot() const;
  // Complete in on_client_gone().
  [[nodiscard]] const ClientEnd& end() const { return end_; }
  // `buffered` of the user has become small enough.
  void on_user_relieved();
  // Sees what the clients of a user have read meanwhile.
  static void look_again(User& user);

 private:
  enum class State : std::uint8_t { greeting, opening, open, leaving };

  // Why input waits.
  enum Hold : std::uint8_t {
    kOpening = 1,
    kCalls = 2,
    kOutput = 4,
    kLeaving = 8,
    kRate = 16,
    kAsking = 32
  };

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override;
  void on_closed(const tunnel::io::Reason& reason) override;

  void on_target_ready() override;
  void on_target_failed(const policy::Fault& fault) override;
  void on_reply(const Call& call, policy::Status status, base::Bytes body) override;
  void on_call_failed(const Call& call, const policy::Fault& fault) override;
  void on_event(std::int32_t procedure, base::Bytes first, base::Bytes rest) override;
  void on_events_lost(const policy::Fault& fault) override;
  bool can_take_reply() override;

  void process();
  void hold(Hold reason);
  void release(Hold reason);
  void pause_or_resume();
  void on_frame(const policy::Frame& frame);
  void answer(const policy::Header& header, const policy::Verdict& verdict, base::Buffer encoded);
  void answer_open(const policy::Header& header, const policy::Arguments& arguments);
  void begin_open();
  void try_next_target();
  void take_share(Share& share);
  void end_now();
  void answer_feature(const policy::Header& header, std::int64_t feature, base::Buffer encoded);
  void answer_event_call(const policy::Header& header, const policy::Arguments& arguments);
  void answer_close(const policy::Header& header);
  void forward(const policy::Header& header, base::Buffer encoded);
  [[nodiscard]] Call make_call(const policy::Header& header, base::Buffer encoded) const;
  [[nodiscard]] std::optional<policy::Fault> forbidden(const policy::Procedure& procedure) const;
  void leave_share();
  void pay();
  void may_have_paid();
  void taken();
  void done();

  void send(const policy::Header& header, base::Bytes body, base::Bytes rest = {});
  void reply(const policy::Header& call, base::Bytes body);
  void refuse(const policy::Header& call, Refusal why, policy::Fault fault);
  void say_fault(const policy::Header& call, policy::Fault fault);
  [[nodiscard]] bool loses_events(const policy::Grant& next) const;
  void open_failed(Refusal why, const policy::Fault& fault);
  void count(Fate fate);
  void count_end(const Call& call, Outcome outcome);
  void log_refusal(const policy::Header& call, const policy::Fault& fault);
  void send_closed_event(std::int32_t why);
  void wrote();
  void recount();
  static void recount_all(User& user);
  [[nodiscard]] bool has_room(std::uint64_t size) const;
  [[nodiscard]] bool user_has_room(std::uint64_t size);
  void relieve_user();
  void count_asked();
  void hear_again();
  [[nodiscard]] std::uint64_t most_asked() const;
  void answered(const Call& call);
  void leave_when_done();
  void leave_when_done(Milliseconds patience);
  void say_nothing_follows();
  [[nodiscard]] bool just_came() const;
  void leave_unless_just_came();

  void tick();
  void arm();
  void keep_alive();

  Line line(Level level, std::string_view event);
  void record_call(const policy::Header& call, std::string_view status, Milliseconds since);

  const Place place_;
  const std::int64_t number_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  const tunnel::io::Peer peer_;
  const conf::Listen listen_;
  User& user_;
  const Guest guest_;
  ClientEnd end_;

  policy::FrameReader reader_;
  base::Buffer backlog_;
  tunnel::io::Timer tick_;
  Pool* pool_ = nullptr;
  policy::Grant grant_;
  Share* share_ = nullptr;  // under the rule that grant_ comes from
  Lane lane_;

  State state_ = State::greeting;
  std::uint8_t hold_ = 0;
  bool processing_ = false;
  bool paused_ = false;
  bool keepalive_ = false;
  bool close_callback_ = false;
  bool ended_output_ = false;
  bool draining_ = false;
  std::uint32_t outstanding_ = 0;
  std::uint32_t pings_unanswered_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t refusals_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t counted_ = 0;  // what user_.buffered holds of ours
  std::uint64_t asked_ = 0;    // what user_.asking holds of ours
  std::uint64_t bodies_ = 0;   // of calls that are not answered
  const Milliseconds came_;
  Milliseconds began_;  // came, or last failed to open
  Milliseconds last_heard_;
  Milliseconds opened_{0};
  Milliseconds active_;  // when a call last came or was answered
  Milliseconds last_progress_{0};
  std::optional<Milliseconds> unfinished_since_;  // a message has begun and is not complete
  Milliseconds leave_by_{0};
  Milliseconds pays_at_{0};  // while kRate holds

  // While opening.
  struct Opening {
    policy::Header header;
    std::optional<std::string> name;
    std::vector<Candidate> candidates;
    std::size_t next = 0;
  };
  std::unique_ptr<Opening> opening_;
  std::string turned_away_;
};

}  // namespace proxy
