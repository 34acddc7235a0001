// The gate: its clients, the pools of its targets, and what binds them. It knows streams, not
// sockets, so it runs in memory as well.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/environment.h"
#include "conf/libvirt_conf.h"
#include "conf/names.h"
#include "conf/values.h"
#include "proxy/client/client.h"
#include "proxy/gate/crowds.h"
#include "proxy/record/counters.h"
#include "proxy/record/log.h"
#include "proxy/record/references.h"
#include "proxy/record/snapshot.h"
#include "proxy/upstream/pools.h"
#include "proxy/upstream/retired.h"
#include "proxy/visitor/budget.h"
#include "proxy/visitor/identities.h"
#include "proxy/visitor/shares.h"
#include "proxy/visitor/turns.h"
#include "proxy/visitor/visitor.h"
#include "proxy/xend/xend_pool.h"
#include "proxy/xend/xend_session.h"
#include "tunnel/io/newcomers.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

class Gate final : private VisitorOwner, private ClientTargets, private XendTargets {
 public:
  // Clock, log and sasl outlive the gate.
  Gate(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
       conf::LibvirtConf libvirt_conf, const TunnelFactory& tunnels);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  // drain() is through, or nobody ever came.
  ~Gate() override;

  // Of somebody with this uid who waits to come in; see tunnel::io::ListenerOwner.
  [[nodiscard]] tunnel::io::Standing standing(uid_t uid) const;
  void count_left() { ++counters_.accepted; }
  void count_turned_away(uid_t user);

  // A client that came in by config().listen[listener]. That decides what it speaks: HTTP where the
  // target is a xend, packets of the old Xen proxy, or else libvirt's RPC. With a `refusal` it is
  // turned away.
  void accept(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer,
              std::size_t listener, Guest guest = {}, std::optional<std::string> refusal = {});

  // Whom the kernel's words mean, from now on. To begin with they mean what they say.
  void identify_by(Identities identities) { identities_ = std::move(identities); }

  // Nobody is an insider, whoever the kernel says they are: the client speaks for somebody
  // elsewhere.
  void trust_nobody() { trusts_nobody_ = true; }

  // Everything is as these say from now on: clients, calls and targets that have not changed go on.
  // The listeners of `config` are numbered anew. Not while it drains.
  void reload(conf::Config config, conf::LibvirtConf libvirt_conf);

  // A client of a socket that serves nobody: whatever it asks is answered with `why`.
  void turn_away(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer,
                 policy::Fault why);

  // Who may hear why something fails, and ask what the gate does: root, the user that the process
  // runs as, and the group that [control] names.
  [[nodiscard]] bool is_insider(const tunnel::io::Peer& peer) const;

  // Lets clients have the answers to the calls that they have made, ends them and then the
  // upstreams, and calls `done` from the loop. What is not through after the drain timeout is cut
  // off. accept() must not be called any more.
  void drain(std::function<void()> done);

  [[nodiscard]] const conf::Config& config() const { return config_; }
  [[nodiscard]] std::size_t clients() const { return visitors_.size(); }
  // Hosts that clients have named beyond the targets, and that are not yet forgotten. For tests.
  [[nodiscard]] std::size_t opened_targets() const { return pools_.opened(); }
  // Allocates nothing.
  [[nodiscard]] MemoryUse memory_use() const;
  // What there is now, a part of it with each call. True: it is complete. The last part's cost
  // grows with the number of clients.
  [[nodiscard]] bool survey(Survey& so_far) const;
  // All at once.
  [[nodiscard]] Snapshot snapshot() const;

 private:
  base::Result<std::vector<Candidate>, policy::Fault> resolve(
      const conf::Listen& listen, const tunnel::io::Peer& peer,
      std::optional<std::string_view> name) override;
  Share& share(const policy::AccessRule& rule, uid_t uid) override;
  base::Result<policy::Grant, std::string> grant(const tunnel::io::Peer& peer,
                                                 const Pool& opened) override;
  Pool* pool(const std::string& target) override;
  base::Result<XendPool*, policy::Fault> xend(const tunnel::io::Peer& peer,
                                              const std::string& name) override;
  Told tell(const tunnel::io::Peer& peer, const policy::Fault& fault) override;
  void on_visitor_gone(Visitor& visitor) override;

  std::unique_ptr<Visitor> make_visitor(Arrival arrival, const conf::Listen& listen);
  void turn_away(Visitor& visitor, uid_t uid, policy::Fault why);
  [[nodiscard]] std::optional<std::string> too_many(uid_t uid) const;
  base::Result<std::vector<Candidate>, policy::Fault> resolve_opened(const conf::OpenedUri& uri,
                                                                     const policy::Identity& who);
  [[nodiscard]] base::Result<conf::TargetConfig, policy::Fault> opened_target(
      const conf::OpenedUri& uri) const;
  [[nodiscard]] std::optional<policy::Fault> forbidden(const tunnel::io::Peer& peer,
                                                       const conf::TargetConfig& xend) const;
  [[nodiscard]] std::optional<std::string> why_hidden(const conf::Listen& listen,
                                                      const policy::Identity& who,
                                                      std::optional<std::string_view> name) const;
  void close_pools();
  void reload_pools();
  void reload_xends();
  XendPool* xend_of(std::string_view name);
  void let_old_xends_go();
  bool describe_xends(std::string& after, std::size_t most, std::vector<TargetSnapshot>& to) const;
  void describe_gate(Snapshot& to) const;
  void describe_users(Snapshot& to) const;
  void describe_clients(Snapshot& to) const;

  tunnel::io::Clock& clock_;
  Log& log_;
  const TunnelFactory tunnels_;
  conf::Config config_;
  conf::LibvirtConf libvirt_conf_;
  const conf::Environment environment_;
  Counters counters_;
  Pools pools_;
  std::unique_ptr<const policy::Access> access_;  // grants of clients are of this one
  std::map<std::string_view, const conf::TargetConfig*> xend_targets_;   // of the configuration
  std::map<std::string, std::unique_ptr<XendPool>, std::less<>> xends_;  // of these
  std::list<std::unique_ptr<XendPool>> old_xends_;  // of before reload(), while they have sessions
  Retired<XendPool> retired_xends_;
  Budget budget_;
  Turns turns_;
  Shares shares_;
  References references_;
  Crowds crowds_;
  Identities identities_;
  std::map<std::int64_t, std::unique_ptr<Visitor>> visitors_;  // in the order of their arrival
  std::int64_t next_visitor_ = 1;
  bool trusts_nobody_ = false;
  const tunnel::io::Milliseconds began_;
  tunnel::io::Timer cut_off_;
  tunnel::io::Timer finish_;
  bool draining_ = false;
  bool closing_pools_ = false;
  std::function<void()> done_;
};

}  // namespace proxy
