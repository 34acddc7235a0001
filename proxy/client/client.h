// One client of the gate: a libvirt connection on a local socket, from a user whom the kernel
// vouches for. It answers by itself what concerns this hop, refuses what the filter refuses, and
// hands the rest to the pool of the target that the client opened.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/values.h"
#include "policy/access.h"
#include "policy/filter.h"
#include "policy/message.h"
#include "proxy/client/input.h"
#include "proxy/client/leaving.h"
#include "proxy/client/opening.h"
#include "proxy/client/output.h"
#include "proxy/client/pings.h"
#include "proxy/client/seat.h"
#include "proxy/record/counters.h"
#include "proxy/record/log.h"
#include "proxy/record/snapshot.h"
#include "proxy/upstream/call.h"
#include "proxy/upstream/pool.h"
#include "proxy/visitor/budget.h"
#include "proxy/visitor/deadline.h"
#include "proxy/visitor/guest.h"
#include "proxy/visitor/shares.h"
#include "proxy/visitor/turns.h"
#include "proxy/visitor/visitor.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

// What a client asks the gate.
class ClientTargets {
 public:
  virtual ~ClientTargets() = default;
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
};

class Client final : public Visitor,
                     private tunnel::io::StreamOwner,
                     private PoolUser,
                     private BudgetHolder,
                     private InputOwner {
 public:
  // `listen` is where it came in, and is copied. `targets` outlives it.
  Client(const VisitorDeps& deps, ClientTargets& targets, Arrival arrival,
         const conf::Listen& listen);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() override = default;

  void start() override;
  void turn_away(policy::Fault why) override;
  // A client that came a moment ago may first finish what it came for, within a few seconds.
  void drain(std::string_view why) override;
  // New rules hold from the next call. A client that may no longer see the target, or events that
  // it gets, is ended when what it has asked is answered.
  void regrant() override;
  void close(tunnel::io::Reason reason) override;

  [[nodiscard]] std::int64_t number() const override { return number_; }
  [[nodiscard]] std::uint64_t calls() const override { return calls_; }
  [[nodiscard]] ClientSnapshot snapshot() const override;
  [[nodiscard]] const Guest& guest() const override { return guest_; }
  [[nodiscard]] const ClientEnd& end() const override { return end_; }

 private:
  enum class Phase : std::uint8_t { greeting, opening, open, leaving };

  struct Farewell {
    std::optional<std::int32_t> closed_event;  // the reason to give to a close callback
    std::optional<Milliseconds> patience;      // with its calls; nothing: as a drain has
  };

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override;
  void on_closed(const tunnel::io::Reason& reason) override;

  void on_target_ready() override;
  void on_target_failed(const policy::Fault& fault) override;
  void on_reply(const Call& call, policy::Status status, base::Bytes body,
                const base::Keeper& keeper) override;
  void on_call_failed(const Call& call, const policy::Fault& fault) override;
  void on_event(std::int32_t procedure, base::Bytes first, base::Bytes rest) override;
  void on_events_lost(const policy::Fault& fault) override;
  bool can_take_reply() override;
  void on_expected(std::uint64_t bytes) override { holding_.expect(bytes); }

  [[nodiscard]] std::uint64_t queued() const override { return stream_->queued(); }
  void on_may_answer() override;
  void on_may_ask() override { release(Input::kAsking); }

  void before_frame() override;
  void on_frame(const policy::Frame& frame) override;
  void on_unfinished() override { arm(); }
  void on_processed() override;

  void release(Input::Hold reason);
  void answer(const policy::Header& header, const policy::Verdict& verdict, base::Buffer encoded);
  void answer_open(const policy::Header& header, const policy::Arguments& arguments);
  void begin_open();
  void try_target(const Candidate& candidate);
  [[nodiscard]] Share* share_of(const policy::AccessRule* rule);
  void answer_feature(const policy::Header& header, std::int64_t feature, base::Buffer encoded);
  void answer_event_call(const policy::Header& header, const policy::Arguments& arguments);
  void answer_close(const policy::Header& header);
  void forward(const policy::Header& header, policy::Subject subject, base::Buffer encoded);
  [[nodiscard]] Call make_call(const policy::Header& header, base::Buffer encoded) const;
  void amended(const policy::Procedure& procedure, Amended how);
  void pay();
  void may_have_paid();
  void taken();
  void done();

  void reply(const policy::Header& call, base::Bytes body);
  void refuse(const policy::Header& call, Refusal why, const policy::Fault& fault);
  // What the client hears of it.
  policy::Fault say_fault(const policy::Header& call, const policy::Fault& fault);
  void open_failed(Refusal why, const policy::Fault& fault);
  void count(Fate fate);
  void count_end(const Call& call, Outcome outcome);
  void log_refusal(const policy::Header& call, const policy::Fault& fault,
                   const std::string& reference);
  void send_closed_event(std::int32_t why);
  void wrote();
  void count_asked();
  void answered(const Call& call);
  // Takes no more calls, answers those that are under way, and ends the output.
  void leave(const Farewell& how = {});
  void end_output_when_answered();
  [[nodiscard]] bool just_came() const;
  void leave_unless_just_came();

  [[nodiscard]] std::array<Deadline<Client>, 7> deadlines() const;
  void tick();
  void arm();
  void patience_is_over();
  void opened_nothing();
  void check_reading();
  void sent_no_whole_message();
  void keep_alive();

  Line line(Level level, std::string_view event);
  void record_call(const policy::Header& call, std::string_view status, Milliseconds since);

  const VisitorDeps deps_;
  ClientTargets& targets_;
  const std::int64_t number_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  const tunnel::io::Peer peer_;
  const conf::Listen listen_;
  const Guest guest_;
  ClientEnd end_;

  Input input_;
  Pings pings_;
  Budget::Holding holding_;
  Output output_;
  Turns::Part turn_;
  tunnel::io::Timer tick_;
  Seat seat_;

  Phase phase_ = Phase::greeting;
  bool close_callback_ = false;
  std::uint8_t amended_ = 0;  // bits by Amended: what the log knows of
  std::uint32_t outstanding_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t refusals_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bodies_ = 0;  // of calls that are not answered
  const Milliseconds came_;
  Milliseconds began_;  // came, or last failed to open
  Milliseconds opened_{0};
  Milliseconds active_;      // when a call last came or was answered
  Milliseconds pays_at_{0};  // while kRate holds

  std::unique_ptr<Opening> opening_;  // while it opens
  Leaving leaving_;
};

}  // namespace proxy
