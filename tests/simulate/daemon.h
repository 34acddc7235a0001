// A libvirt daemon with machines of its own: it works on calls with as many workers as libvirtd
// has, takes time for each, and can fail in every way that daemons do. It looks at everything that
// the gate sends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/message.h"
#include "policy/procedures.h"
#include "tests/simulate/stage.h"
#include "tunnel/tunnel.h"

namespace simulate {

class Daemon final : public tunnel::Tunnel {
 public:
  Daemon(Stage& stage, std::size_t number, Random random);
  ~Daemon() override;

  std::unique_ptr<tunnel::io::Stream> stream() override;

  // What may happen to it.
  // `partly`: its info is still answered.
  void hang(Subject machine, bool hung, bool partly = false);
  void slow(Subject machine, std::uint32_t factor);  // 1: not slow
  void freeze(bool frozen);
  void poison(Subject machine, bool poisonous);  // whoever asks about it makes the daemon crash
  void die(Milliseconds away);   // every connection ends, and it does not listen for so long
  void cut();                    // a connection ends after some byte
  void starve();                 // a connection ends because the gate's host has no memory for it
  void lie();                    // it breaks the protocol on a connection
  void swallow();                // nothing passes any more on a connection, and nobody ends it
  void happen(Subject machine);  // an event
  void heal();                   // everything is well again

  // How it is.
  [[nodiscard]] bool well() const { return answers() && !swallows(); }
  // Whoever connects now.
  [[nodiscard]] bool answers() const { return !frozen_ && !away_.running(); }
  // The gate still has a connection on which nothing passes.
  [[nodiscard]] bool swallows() const;
  // Ends what was swallowed, once the gate has given it up.
  void look_after_swallowed();
  [[nodiscard]] bool hung(Subject machine) const { return machines_[index(machine)].hung; }
  [[nodiscard]] bool any_hung() const;
  // Its info is answered, and has been since other calls about it hang.
  [[nodiscard]] bool answers_info(Subject machine) const {
    const Machine& it = machines_[index(machine)];
    const auto found = it.answered_at.find(policy::number(policy::Remote::DOMAIN_GET_INFO));
    return it.partly && it.stuck_at > it.troubled_at && found != it.answered_at.end() &&
           found->second > it.stuck_at;
  }
  // No machine hangs or is slow, nor did one since then.
  [[nodiscard]] bool is_calm(Milliseconds since) const;
  // When the last fault of all of it, and of a machine, began or ended.
  [[nodiscard]] Milliseconds troubled_at() const;
  [[nodiscard]] Milliseconds fault_at() const { return troubled_at_; }
  [[nodiscard]] Milliseconds troubled_at(Subject machine) const;
  // One that came a while after the latest that hangs was answered.
  [[nodiscard]] bool proven(Subject machine, std::int32_t procedure) const {
    const auto& answered = machines_[index(machine)].answered_at;
    const auto found = answered.find(procedure);
    return found != answered.end() && found->second >= stuck_at_ + kProof;
  }
  // Its info is answered, whatever else hangs.
  [[nodiscard]] bool hangs_partly(Subject machine) const {
    return machines_[index(machine)].partly;
  }
  // When the latest call came that hangs.
  [[nodiscard]] Milliseconds stuck_at() const { return stuck_at_; }
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }
  [[nodiscard]] bool was_poisonous(Subject machine) const {
    return machine >= 0 && machines_[index(machine)].was_poisonous;
  }
  [[nodiscard]] int starved() const { return starved_; }
  // How many machines have been poisonous.
  [[nodiscard]] std::ptrdiff_t poisons() const {
    return std::ranges::count_if(machines_, [](const Machine& one) { return one.was_poisonous; });
  }
  // Those that are open, and on which the gate has not said goodbye.
  [[nodiscard]] std::size_t upstreams() const;
  [[nodiscard]] std::size_t registrations() const;
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  // Calls that lie here, of connections that the gate has not given up.
  [[nodiscard]] std::size_t lying(Subject subject, std::int32_t procedure) const;
  [[nodiscard]] std::size_t most_lying(Subject subject) const;
  [[nodiscard]] std::size_t lying_for(Milliseconds longer_than) const;
  [[nodiscard]] std::size_t lying_of(uid_t user) const;
  // Workers that hang with a machine, also for connections that are gone.
  [[nodiscard]] std::size_t stuck() const;

 private:
  struct Connection;
  struct Work;
  struct Machine {
    bool hung = false;
    bool partly = false;
    std::uint32_t factor = 1;
    bool poisonous = false;
    bool was_poisonous = false;
    Milliseconds troubled_at{-1000000};
    Milliseconds stuck_at{-1000000};                   // when a call was the first to hang
    std::map<std::int32_t, Milliseconds> answered_at;  // when the latest answered one came
  };
  static constexpr Milliseconds kProof{100};
  using Works = std::list<std::unique_ptr<Work>>;

  static std::size_t index(Subject machine) { return static_cast<std::size_t>(machine); }
  void on_frame(Connection& connection, const policy::Frame& frame);
  bool on_handshake(Connection& connection, const policy::Frame& frame);
  void on_registration(Connection& connection, const policy::Frame& frame, bool adds);
  void take(Connection& connection, const policy::Frame& frame, Subject subject);
  void start_next();
  void run(Work& work);
  void check_logins();
  void check_place(const Connection& connection);
  void check_user(const Work& work);
  void check_poison(const Work& work);
  [[nodiscard]] std::size_t abandoned(const Connection& connection) const;
  [[nodiscard]] bool hangs(const Work& work) const;
  void finish(Work& work);
  void drop(const Connection& connection);
  Connection* find(std::uint64_t number);
  [[nodiscard]] bool waited_for(const Work& work) const;
  Connection* any();
  void reply(Connection& connection, const policy::Header& call, base::Bytes body);
  void trouble() { troubled_at_ = stage_.clock.now(); }

  Stage& stage_;
  const std::size_t number_;
  const std::string name_;
  Random random_;
  std::vector<Machine> machines_;
  std::list<std::unique_ptr<Connection>> connections_;
  Works works_;
  std::map<std::uint64_t, int> poisoned_;  // questions that made it crash: how often they came
  bool knows_nowait_;
  int starved_ = 0;  // connections
  std::size_t running_ = 0;
  std::uint64_t next_connection_ = 1;
  std::int32_t next_callback_ = 1;
  bool frozen_ = false;
  tunnel::io::Timer away_;
  Milliseconds troubled_at_{-1000000};
  Milliseconds stuck_at_{-1000000};     // when the latest call came that hangs
  Milliseconds given_up_at_{-1000000};  // when the gate last gave up what was swallowed
};

}  // namespace simulate
