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

#include "conf/config.h"
#include "conf/libvirt_conf.h"
#include "conf/names.h"
#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/log.h"
#include "proxy/pools.h"
#include "proxy/retired.h"
#include "proxy/snapshot.h"
#include "proxy/users.h"
#include "proxy/xend_pool.h"
#include "proxy/xend_session.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

class Gate final : private ClientOwner, private XendSessionOwner {
 public:
  // Clock, log and sasl outlive the gate.
  Gate(tunnel::io::Clock& clock, Log& log, Sasl& sasl, conf::Config config,
       conf::LibvirtConf libvirt_conf, const TunnelFactory& tunnels);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  // drain() is through, or nobody ever came.
  ~Gate() override;

  // A client that came in by config().listen[listener]. That decides what it speaks: HTTP where the
  // target is a xend, packets of the old Xen proxy, or else libvirt's RPC.
  void accept(std::unique_ptr<tunnel::io::Stream> stream, tunnel::io::Peer peer,
              std::size_t listener, Guest guest = {});

  // Everything is as these say from now on: clients, calls and targets that have not changed go on.
  // The listeners of `config` are numbered anew. Not while it drains.
  void reload(conf::Config config, conf::LibvirtConf libvirt_conf);

  // Lets clients have the answers to the calls that they have made, ends them and then the
  // upstreams, and calls `done` from the loop. What is not through after the drain timeout is cut
  // off. accept() must not be called any more.
  void drain(std::function<void()> done);

  [[nodiscard]] const conf::Config& config() const { return config_; }
  [[nodiscard]] std::size_t clients() const { return clients_.size() + sessions_.size(); }
  // Hosts that clients have named beyond the targets, and that are not yet forgotten.
  [[nodiscard]] std::size_t opened_targets() const { return pools_.opened(); }
  // What there is now. Its cost grows with the number of clients.
  [[nodiscard]] Snapshot snapshot() const;

 private:
  base::Result<std::vector<Candidate>, policy::Fault> resolve(
      const conf::Listen& listen, const tunnel::io::Peer& peer,
      std::optional<std::string_view> name) override;
  Share& share(const policy::AccessRule& rule, uid_t uid) override;
  base::Result<policy::Grant, std::string> grant(const tunnel::io::Peer& peer,
                                                 const Pool& opened) override;
  Pool* pool(const std::string& target) override;
  void on_client_gone(Client& client) override;
  void on_session_gone(XendSession& session) override;

  template <typename Visitor>
  void admit(Visitor& visitor, const User& user, const std::optional<std::string>& refusal);
  void left(User& user);
  [[nodiscard]] std::optional<std::string> too_many(const User& user) const;
  base::Result<std::vector<Candidate>, policy::Fault> resolve_opened(const conf::OpenedUri& uri,
                                                                     const policy::Identity& who);
  [[nodiscard]] base::Result<conf::Target, policy::Fault> opened_target(
      const conf::OpenedUri& uri) const;
  [[nodiscard]] std::optional<std::string> forbidden(const tunnel::io::Peer& peer,
                                                     const conf::Target& xend) const;
  void close_pools();
  void reload_pools();
  void reload_xends();
  void regrant(XendSession& session);
  void let_old_xends_go();
  void describe_users(Snapshot& to) const;
  void describe_clients(Snapshot& to) const;

  tunnel::io::Clock& clock_;
  Log& log_;
  const TunnelFactory tunnels_;
  conf::Config config_;
  conf::LibvirtConf libvirt_conf_;
  Counters counters_;
  Pools pools_;
  std::unique_ptr<const policy::Access> access_;  // grants of clients are of this one
  std::map<std::string, std::unique_ptr<XendPool>, std::less<>> xends_;
  std::list<std::unique_ptr<XendPool>> old_xends_;  // of before reload(), while they have sessions
  Retired<XendPool> retired_xends_;
  Users users_;
  Shares shares_;
  std::map<std::int64_t, std::unique_ptr<Client>> clients_;
  std::map<std::int64_t, std::unique_ptr<XendSession>> sessions_;
  std::int64_t next_client_ = 1;
  const tunnel::io::Milliseconds began_;
  tunnel::io::Timer cut_off_;
  tunnel::io::Timer finish_;
  bool draining_ = false;
  bool closing_pools_ = false;
  std::function<void()> done_;
};

}  // namespace proxy
