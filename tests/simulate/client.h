// Somebody who uses a program that speaks libvirt: comes, opens a target, asks, and goes, again and
// again. It looks at everything that it gets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/message.h"
#include "tests/simulate/daemon.h"
#include "tests/simulate/host.h"
#include "tests/simulate/stage.h"

namespace simulate {

// The rest of the world, as a client sees it.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  // Brings the other end of a stream to the gate. False: the gate takes nobody any more.
  virtual bool connect(std::unique_ptr<test::MemoryStream> stream, uid_t uid) = 0;
  virtual Daemon& daemon(const std::string& target) = 0;
  virtual Host& host() = 0;
  // Whether some client of the user does not read all the time at that target: all of these share a
  // buffer.
  virtual bool has_slow_reader(uid_t uid, const std::string& target) = 0;
  // How long a call about something that is well may take.
  virtual Milliseconds bound(const std::string& target) = 0;
  virtual Milliseconds call_timeout(const std::string& target) = 0;
  virtual Milliseconds max_age(const std::string& target) = 0;
};

class Client final : private tunnel::io::StreamOwner {
 public:
  Client(Stage& stage, Surroundings& surroundings, const ClientPlan& plan, std::size_t number,
         Random random);
  ~Client() override;

  void start();
  // Asks nothing more, and reads everything.
  void calm_down();
  // Goes, when it has nothing under way.
  void leave();
  [[nodiscard]] bool gone() const { return !stream_; }
  [[nodiscard]] bool waits() const { return !outstanding_.empty() && state_ == State::open; }
  [[nodiscard]] std::string state() const;
  [[nodiscard]] const ClientPlan& plan() const { return plan_; }
  // Looks at what has not been answered for too long.
  void check();
  // Calls that wait for an answer, about different things that are well.
  [[nodiscard]] std::size_t waiting_subjects() const;
  // Some of its calls are about something that is not well.
  [[nodiscard]] bool in_trouble() const;
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  // Calls that were answered after the open, in whatever way, and how often it came.
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] std::uint64_t visits() const { return visit_; }

 private:
  enum class State : std::uint8_t { away, opening, open, leaving };
  enum class Kind : std::uint8_t { greeting, open, question, forbidden, adds, removes, close };
  struct Asked {
    Kind kind = Kind::question;
    std::int32_t procedure = 0;
    Subject subject = kHost;
    std::uint64_t question = 0;
    bool unique = false;
    std::uint64_t index = 0;
    Moment moment = 0;
    Milliseconds at{0};
    bool behind = false;           // another question about the same was waiting
    bool of_states = false;        // statistics that wait for no machine
    bool proven = false;           // the same was answered in spite of what hangs
    std::int32_t detail = 0;       // the event or the callback id
    std::optional<Subject> about;  // of a registration
  };
  struct Subscription {
    std::int32_t event_id = 0;
    std::optional<Subject> machine;
    std::uint64_t registration = 0;
    std::uint64_t index = 0;
  };

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason& reason) override;

  void come();
  void act();
  void act_later(Milliseconds time);
  void fill();
  void ask();
  void be_rude();
  void babble();
  void subscribe();
  void unsubscribe();
  void pause_reading();
  void hang_up(const char* why);
  void send(Kind kind, std::int32_t procedure, const base::Buffer& body, Asked asked);
  void send_raw(const base::Buffer& bytes);

  void on_reply(const policy::Frame& frame);
  void on_opened(bool ok, const Asked& asked, const policy::RemoteError& error);
  void on_answer(const policy::Frame& frame, const Asked& asked);
  void check_answer(const Asked& asked, std::uint64_t number);
  void check_order(const Asked& asked, const Answer& answer);
  void check_refused_open(const Asked& asked, const policy::RemoteError& error);
  void check_rules(const Asked& asked, bool denied);
  void check_age(const Asked& asked, const Answer& answer, std::uint64_t number);
  void count_refused();
  void check_guilt(const Asked& asked);
  void on_event(const policy::Frame& frame);
  [[nodiscard]] bool well(const Asked& asked) const;
  [[nodiscard]] bool should_have_moved(const Asked& asked) const;
  [[nodiscard]] bool is_well_else(const Asked& asked, Milliseconds quiet) const;
  [[nodiscard]] bool reads_all(Milliseconds since) const;
  void fail(const char* check, const std::string& what);
  [[nodiscard]] std::string name() const;

  Stage& stage_;
  Surroundings& surroundings_;
  const ClientPlan plan_;
  const std::size_t number_;
  Random random_;
  Random wire_;
  std::unique_ptr<test::MemoryStream> stream_;
  tunnel::io::Timer act_;
  tunnel::io::Timer reading_;
  policy::FrameReader reader_;
  State state_ = State::away;
  std::uint64_t visit_ = 0;
  std::uint32_t serial_ = 0;
  std::map<std::uint32_t, Asked> outstanding_;
  std::map<std::int32_t, Subscription> subscriptions_;
  std::set<std::uint64_t> seen_;
  std::map<Subject, std::map<std::uint64_t, Milliseconds>> order_;
  std::uint64_t next_index_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t turn_ = 0;
  std::size_t refused_ = 0;  // in that turn
  std::uint32_t left_to_ask_ = 0;
  bool calm_ = false;
  bool offended_ = false;  // has sent what may end the connection
  bool paused_ = false;
  bool closes_ = false;               // wants to be told of the end
  Milliseconds paused_at_{-1000000};  // when it last did not read
  Milliseconds opened_at_{0};
};

}  // namespace simulate
